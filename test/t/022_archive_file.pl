# A partition becomes a file and comes back equal, for every type and under hostile settings; a damaged file, an odd
# one and an odd directory are refused with nothing of it visible; a server killed meanwhile loses nothing.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;
use Time::HiRes qw(usleep);

take_seed();

my ($node, $files) = new_archive_server();

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub failure { return failure_of($node, $_[0]) }

# Of the file of an archive, as verify_archive() finds it.
sub file_state { return sql("SELECT state FROM privacy_scan.verify_archive($_[0]) WHERE file IS NOT NULL") }

# Columns of every type, with values that are hard to write.
my @columns = (
	[ 'boolean', 'true', 'false' ], [ 'smallint', '-32768', '32767' ], [ 'integer', q{'-2147483648'}, '0' ],
	[ 'bigint', q{'-9223372036854775808'}, '9223372036854775807' ],
	[ 'real', q{'NaN'}, q{'1e-45'}, q{'-Infinity'}, '0.1' ],
	[ 'double precision', q{'Infinity'}, '0.1::float8 + 0.2', q{'-0'}, q{'5e-324'}, q{'NaN'} ],
	[ 'numeric', q{'NaN'}, '1.500', '1e130', q{'-0.00'} ], [ 'numeric(12,4)', '1.5', '-99999999.9999' ],
	[ 'money', q{'$1,234.56'}, q{'-$0.01'} ],
	[ 'text', q{''}, q{E'line\n\\\\.\nnext'}, q{'"quoted", and ''quoted'''}, q{E'\r\n\t\\\\'}, q{U&'\00e4\20ac\+01f600'},
		q{repeat(md5('x'), 1000)}, q{'NULL'}, q{'\N'}, q{'\.'}, q{' '} ],
	[ 'varchar(10)', q{' a '}, q{''} ], [ 'char(5)', q{'ab'}, q{''} ], [ '"char"', q{'x'} ], [ 'name', q{'A b'} ],
	[ 'bytea', q{'\x00ff0a5c'}, q{''} ], [ 'date', q{'infinity'}, q{'4713-01-01 BC'}, q{'2026-02-03'} ],
	[ 'time', q{'24:00'}, q{'01:02:03.000001'} ], [ 'timetz', q{'01:02:03-15:59'} ],
	[ 'timestamp', q{'-infinity'}, q{'2026-02-03 04:05:06.000007'}, q{'0044-03-15 12:00 BC'} ],
	[ 'timestamp(3)', q{'2026-02-03 04:05:06.789'} ],
	[ 'timestamptz', q{'infinity'}, q{'2026-03-29 02:30:00+02'} ],
	[ 'interval', q{'-1 year 2 mons -3 days 04:05:06.000007'}, q{'1 day -00:00:01'}, q{'P1Y'} ],
	[ 'uuid', q{'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'} ], [ 'inet', q{'::1/64'}, q{'10.0.0.1'} ], [ 'cidr', q{'10.0.0.0/8'} ],
	[ 'macaddr', q{'08:00:2b:01:02:03'} ], [ 'macaddr8', q{'08:00:2b:01:02:03:04:05'} ],
	[ 'bit(5)', q{B'10101'} ], [ 'varbit', q{B''}, q{B'1'} ],
	[ 'json', q{'{"b" : 1,"a":[ ]}'} ], [ 'jsonb', q{'{"b": [1, null, "\u20ac", 1.50], "a": {}, "long key, \"": [[[[[[[[[[{"x": {}}]]]]]]]]]]}'}, q{'null'}, q{'[]'}, q{'[12]'}, q{'"a,\"b"'},
		q{'["\b\f\n\r\t\u0001\u001f\u007f\\/\"", "", {"": ""}, [], {}, true, false]'}, q{'[-0, 0.00, 1e130, -1.5e-20, 123456789012345678901234567890.10]'},
		q{'["äöü€😀 12345678\"", "1234567\"", "12345678", "\\\\\\\\\"\"\"\""]'}, q{(SELECT jsonb_object_agg('k' || n, repeat('"', n)) FROM generate_series(1, 200) n)}, q{'7.10'} ],
	[ 'jsonpath', q{'$.a[*] ? (@ > 1)'} ], [ 'xml', q{'<a b="c">&amp; text</a>'}, q{'text, no element'} ],
	[ 'tsvector', q{$$'fat':2A 'it''s':3 '\\\\':1$$} ], [ 'tsquery', q{$$'fat' & ( 'rat' | !'c' )$$} ],
	[ 'point', q{'(0.1,-0)'} ], [ 'line', q{'{1,2,0.3}'} ], [ 'lseg', q{'[(0,0),(1,0.1)]'} ], [ 'box', q{'(1,1),(0,0)'} ],
	[ 'path', q{'[(0,0),(1,1)]'}, q{'((0,0),(1,1))'} ], [ 'polygon', q{'((0,0),(1,0.1),(1,1))'} ], [ 'circle', q{'<(0,0),0.1>'} ],
	[ 'oid', '4294967295' ], [ 'xid', q{'7'} ], [ 'xid8', q{'7'} ], [ 'cid', q{'7'} ], [ 'tid', q{'(1,2)'} ],
	[ 'pg_lsn', q{'16/B374D848'} ], [ 'pg_snapshot', q{'10:20:10,14,15'} ], [ 'regclass', q{'"Root"'} ],
	[ 'regtype', q{'hues'} ], [ 'refcursor', q{'c'} ], [ 'int2vector', q{'1 2'} ], [ 'oidvector', q{'1 2'} ],
	[ 'int[]', q{'{}'}, q{'[2:3]={1,NULL}'}, q{'{{1,2},{3,4}}'} ], [ 'text[]', q{ARRAY['', 'a,b', '"', 'NULL', NULL, '{}', '\\']} ],
	[ 'float8[]', q{'{NaN,-Infinity,0.1}'} ], [ 'timestamptz[]', q{'{infinity,2026-01-01 00:00+00}'} ],
	[ 'int4range', q{'empty'}, q{'[1,5)'}, q{'(,)'} ], [ 'numrange', q{'(1.0,2.50]'} ], [ 'tstzrange', q{'[2026-01-01 00:00+00,infinity)'} ],
	[ 'int8multirange', q{'{[1,2),[5,9)}'}, q{'{}'} ], [ 'datemultirange', q{'{[2026-01-01,2026-02-01)}'} ],
	[ 'hue', q{'red'}, q{'a, "b"'} ], [ 'hues', q{'{red,"a, \"b\""}'} ], [ 'score', '3' ],
	[ 'pair', q{ROW('a,"b', NULL)}, q{ROW('', 0.1)} ], [ 'pair[]', q{ARRAY[ROW('(', 1)::pair, NULL]} ]);

sub make_archives
{
	sql(q{
		CREATE TYPE hue AS ENUM ('red', 'a, "b"');
		CREATE TYPE pair AS (a text, b float8);
		CREATE DOMAIN hues AS hue[];
		CREATE DOMAIN score AS int CHECK (VALUE BETWEEN 0 AND 10);
		CREATE TABLE "Root" (id text PRIMARY KEY, status text NOT NULL, at timestamp(3) NOT NULL);
		INSERT INTO "Root" VALUES ('r', 'done', '2020-01-05'), ('s', 'done', '2020-02-05'), ('new', 'done', now());});
	my $list = join ', ', map { sprintf '"c%d, %s" %s', $_, $_ % 7 == 0 ? 'A"" b' : 'x', $columns[$_][0] } 0 .. $#columns;
	my $rows = 10;
	my @values;
	for my $row (0 .. $rows)
	{
		push @values, join ', ', map {
			my ($type, @each) = @$_;
			$row == 0 ? 'NULL' : '(' . $each[ ($row - 1) % @each ] . ")::$type"
		} @columns;
	}
	sql(qq{CREATE TABLE child (id text, root text NOT NULL REFERENCES "Root" ON DELETE CASCADE, at timestamp(3) NOT NULL,
		gone int, $list) PARTITION BY RANGE (at);
		CREATE INDEX ON child (root);
		ALTER TABLE child DROP COLUMN gone;
		CREATE TABLE child_1 PARTITION OF child FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
		CREATE TABLE child_2 PARTITION OF child FOR VALUES FROM ('2020-02-01') TO ('2020-03-01');
		CREATE TABLE child_3 PARTITION OF child FOR VALUES FROM ('2020-03-01') TO ('2099-01-01');});
	sql(join '', map { qq{INSERT INTO child VALUES ('$_', 'r', '2020-01-05', $values[$_]);\n} } 0 .. $rows);
	sql(q{INSERT INTO child (id, root, at) SELECT n, 's', '2020-02-05' FROM generate_series(1, 20000) n;
		INSERT INTO child (id, root, at) VALUES ('z', 'new', now());});
	$node->psql('postgres', 'VACUUM child_1; VACUUM child_2');
	sql(q{SELECT privacy_scan.set_retention('"Root"', '365 days', 'at')});
	sql(q{CALL privacy_scan.run_retention('"Root"', confirm => true, force => true)});
	return;
}

make_archives();
make_hostile($node);
sql("ALTER DATABASE postgres SET search_path = ''");

my $id = sql(q{SELECT id FROM privacy_scan.archives WHERE leaf LIKE '%child_1%'});
my $big = sql(q{SELECT id FROM privacy_scan.archives WHERE leaf LIKE '%child_2%'});
my $batch = sql(q{SELECT min(id) FROM privacy_scan.archives WHERE leaf IS NULL});
my $leaf = sql("SELECT leaf FROM privacy_scan.archives WHERE id = $id");
ok($id && $big && $batch, 'two partitions went whole, the roots in a batch');

like(failure("SELECT * FROM privacy_scan.export_archive($batch)"), qr/0A000/, 'rows of batches are refused');
like(failure('SELECT * FROM privacy_scan.export_archive(4711)'), qr/42704/, 'an unknown archive is refused');
like(failure("SELECT * FROM privacy_scan.restore_file($id, 'pg_class')"), qr/42704/, 'there is no file yet');

my $file = sql("SELECT file FROM privacy_scan.export_archive($id)");
like($file, qr/^archive_[0-9a-f]{16}_\d+_${id}_[0-9a-f]{16}\.csv\.zst$/, 'a file is made, its name without text of users');
is(file_state($id), 'ok', 'it is ok');
is((stat "$files/$file")[2] & 07777, 0600, 'it is private');
like(failure("SELECT * FROM privacy_scan.export_archive($id)"), qr/55000.*has a file already/s, 'it is not made twice');

my $manifest = slurp_file("$files/" . sql("SELECT manifest FROM privacy_scan.archive_files WHERE id = $id"));
is(sql('SELECT (x.m->>\'rows\') || jsonb_array_length(x.m->\'columns\') FROM (SELECT $m$' . $manifest . '$m$::jsonb AS m) AS x'),
	11 . (@columns + 3), 'the manifest is JSON and counts rows and columns');
is(sql("SELECT encode(sha256(f), 'hex') || length(f) FROM pg_read_binary_file('$files/$file') f"),
	sql('SELECT (x.m->>\'sha256\') || (x.m->>\'file_bytes\') FROM (SELECT $m$' . $manifest . '$m$::jsonb AS m) AS x'), 'and says which file it is about');

is(sql('WITH x AS (SELECT $m$' . $manifest . '$m$::jsonb AS m), a AS (SELECT * FROM privacy_scan.archives WHERE id = ' . $id . ')
	SELECT x.m->>\'digest\' = a.digest, x.m->>\'table\' = a.leaf, x.m->>\'archive\' = a.archive, x.m->>\'bounds\' LIKE \'FOR VALUES%\',
	x.m->>\'server_version\' = current_setting(\'server_version\'), x.m->>\'encoding\' = \'UTF8\', x.m#>>\'{entries,0,key_from}\' = a.key_from,
	(SELECT string_agg(c->>\'name\', \',\') FROM jsonb_array_elements(x.m->\'columns\') c WHERE c->>\'type\' <> \'\') =
		(SELECT string_agg(attname, \',\' ORDER BY attnum) FROM pg_attribute WHERE attrelid = a.leaf::regclass AND attnum > 0 AND NOT attisdropped),
	x.m->>\'schema_sha256\' = encode(sha256(convert_to((x.m->\'columns\')::text, \'UTF8\')), \'hex\') FROM x, a'),
	join('|', ('t') x 9), 'and by what digest, bounds, columns, keys and server');

# Back into a table of the same columns: the digest is the proof.
sql("CREATE TABLE public.back (LIKE $leaf)");
is(sql("SELECT privacy_scan.restore_file($id, 'public.back')"), 11, 'its rows come back');
is( sql('SELECT (privacy_scan.row_digest(b.*)).digest FROM public.back b'),
	sql("SELECT digest FROM privacy_scan.archives WHERE id = $id"),
	'as they were, ' . @columns . ' types of columns under hostile settings');

SKIP:
{
	skip 'no zstd here', 1 if system('which zstd >/dev/null 2>&1') != 0;
	my $names = sql("SELECT string_agg(quote_ident(attname), ',' ORDER BY attnum) FROM pg_attribute
		WHERE attrelid = '$leaf'::regclass AND attnum > 0 AND NOT attisdropped");
	my $program = "zstd -dc $files/$file";
	sql("CREATE TABLE public.copied (LIKE $leaf);
		SET client_encoding = 'UTF8'; SET lc_monetary = 'C'; SET xmloption = content; SET DateStyle = 'ISO, YMD'; SET TimeZone = 'UTC'; SET array_nulls = on;
		SET search_path = pg_catalog; COPY public.copied ($names) FROM PROGRAM '$program' (FORMAT csv, HEADER)");
	is( sql('SELECT (privacy_scan.row_digest(b.*)).digest FROM public.copied b'),
		sql("SELECT digest FROM privacy_scan.archives WHERE id = $id"), 'zstd and COPY read it, too');
	sql("SET lc_monetary = 'C'; SET xmlbinary = base64; SET DateStyle = 'ISO, YMD'; SET TimeZone = 'UTC'; SET IntervalStyle = postgres;
		SET extra_float_digits = 3; SET bytea_output = hex; SET quote_all_identifiers = off; SET search_path = pg_catalog;
		COPY $leaf TO '$files/copied.csv' (FORMAT csv, HEADER, ENCODING 'UTF8')");
	is(system("$program | cmp - $files/copied.csv"), 0, 'it is what COPY writes, byte for byte');
	unlink "$files/copied.csv";
}

# Damage. Each is detected, and in a restore nothing of it is visible.
sql(qq{CREATE TABLE public.scratch (LIKE $leaf);
	CREATE FUNCTION public.is_refused(id bigint) RETURNS text LANGUAGE plpgsql AS \$f\$
	DECLARE found text := 'restored';
	BEGIN
		BEGIN PERFORM privacy_scan.restore_file(id, 'public.scratch'); EXCEPTION WHEN data_corrupted THEN found := 'refused'; END;
		RETURN (SELECT state FROM privacy_scan.verify_archive(id) WHERE file IS NOT NULL) || ' ' || found || ' ' || (SELECT count(*) FROM public.scratch);
	END \$f\$});
sql("CREATE TABLE public.content AS SELECT pg_read_binary_file('$files/$file') AS c");
my $size = sql('SELECT length(c) FROM public.content');

# One psql does many rounds; each puts a version of the content, an expression over c, in the file's place.
sub damage_rounds
{
	my ($name, @versions) = @_;
	my $script = '';
	$script .= "SELECT lo_from_bytea(0, $_) AS version FROM public.content \\gset\n\\lo_export :version $files/$file\n"
	  . "SELECT public.is_refused($id);\nSELECT lo_unlink(:version) \\gset gone_\n" for @versions;
	my %seen;
	$seen{$_}++ for split /\n/, $node->safe_psql('postgres', $script);
	is_deeply(\%seen, { 'DIFFERENT refused 0' => scalar @versions }, "$name: all " . @versions . ' are detected');
	return;
}

damage_rounds('flipped bits', map { my $bit = int(rand(8 * $size)); "set_bit(c, $bit, 1 - get_bit(c, $bit))" } 1 .. 1000);
damage_rounds('truncations', map { 'substr(c, 1, ' . int(rand($size)) . ')' } 1 .. 200);
damage_rounds('longer', "c || 'x'", 'c || c');
damage_rounds("the same rows without zstd's checksum", 'set_bit(substr(c, 1, length(c) - 4), 34, 0)');

# Another archive's file under this one's name.
my $other = sql("SELECT file FROM privacy_scan.export_archive($big)");
damage_rounds('a file of another archive', "pg_read_binary_file('$files/$other')");

# What is no file of ours.
unlink "$files/$file";
is(file_state($id), 'MISSING', 'a missing file is said to be so');
like(failure("SELECT privacy_scan.restore_file($id, 'public.scratch')"), qr/58P01/, 'and restores nothing');
symlink "$files/$other", "$files/$file";
is(file_state($id), 'UNREADABLE', 'a symbolic link is not followed');
unlink "$files/$file";
system('mkfifo', '-m', '600', "$files/$file") == 0 or die 'mkfifo';
is(file_state($id), 'UNREADABLE', 'nobody waits for a FIFO');
like(failure("SELECT privacy_scan.restore_file($id, 'public.scratch')"), qr/XX001/, 'and it restores nothing');
unlink "$files/$file";

# Directories.
my $odd = PostgreSQL::Test::Utils::tempdir();
sub directory_refused
{
	my ($name, $path) = @_;
	like(failure("SET privacy_scan.archive_directory = '$path'; SELECT * FROM privacy_scan.export_archive($id)"),
		qr/55000|58P01/, "directory: $name is refused");
	return;
}
mkdir "$odd/open", 0750;
chmod 0750, "$odd/open";
mkdir $node->data_dir . '/files', 0700;
symlink $files, "$odd/link";
directory_refused('none', '');
directory_refused('a relative one', 'base');
directory_refused('a missing one', "$odd/none");
directory_refused('one that others may read', "$odd/open");
directory_refused('one in the data directory', $node->data_dir . '/files');
directory_refused('the data directory', $node->data_dir);
directory_refused('a symbolic link', "$odd/link");

# A directory that cannot be written to, or vanishes: nothing is left behind.
sub names { return join ' ', sort map { s{.*/}{}r } glob "$files/*" }
my $before = names();
chmod 0500, $files;
like(failure("SELECT * FROM privacy_scan.export_archive($id)"), qr/42501/, 'directory: one that is read-only is refused');
chmod 0700, $files;
rename $files, "$files.gone" or die;
like(failure("SELECT * FROM privacy_scan.export_archive($id)"), qr/58P01/, 'directory: one that has vanished is refused');
rename "$files.gone", $files or die;
is(names(), $before, 'and nothing is left of either');

# A missing file can be made again; what failed left nothing behind.
isnt(sql("SELECT file FROM privacy_scan.export_archive($id)"), $file, 'what is missing is exported again');
is(file_state($id), 'ok', 'and is ok');

# A rolled-back export leaves a file that no ledger names, and the next one removes it.
unlink "$files/$other";
$node->psql('postgres', "BEGIN; SELECT * FROM privacy_scan.export_archive($big); ROLLBACK");
is(scalar(() = glob "$files/archive_*_${big}_*"), 2, 'what was rolled back is left as files');

# Killed meanwhile: the export, and what it has started.
sub killed_at_work
{
	my ($name, $settings) = @_;
	my $out = '';
	my $run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
		"SET privacy_scan.archive_level = 19; $settings SELECT * FROM privacy_scan.export_archive($big)" ], '>', \$out, '2>&1');
	for (1 .. 1000)
	{
		last if glob "$files/archive_*_${big}_*.tmp";
		usleep(2000);
	}
	usleep(int(rand(100_000)));
	$node->stop('immediate');
	$run->finish;
	$node->start;
	is(sql("SELECT state FROM privacy_scan.verify_archive($big) WHERE file IS NULL"), 'ok', "$name: the table is intact after a kill");
	my ($path) = grep { /zst$/ } glob "$files/archive_*_${big}_*.zst";
	unlink $path if $path;
	return;
}
killed_at_work("round $_", '') for 1 .. 2;
sql("SELECT * FROM privacy_scan.export_archive($big)");
is(file_state($big), 'ok', 'the next export works');
is(scalar(() = glob "$files/archive_*_${big}_*"), 2, 'and has removed what was left behind');
sql("CREATE TABLE public.big (LIKE " . sql("SELECT leaf FROM privacy_scan.archives WHERE id = $big") . ')');
is(sql("SELECT privacy_scan.restore_file($big, 'public.big')"), 20000, 'twenty thousand rows come back');
like(failure("SELECT privacy_scan.restore_file($big, '$leaf')"), qr/55000/, 'nothing is restored into an archive');

# Rows are written by the page where nothing but constraints and indexes takes part; otherwise by INSERT: the same comes of both.
my $like = "LIKE " . sql("SELECT leaf FROM privacy_scan.archives WHERE id = $big");
for my $kind ('PRIMARY KEY (id), CHECK (id <> root)', 'EXCLUDE (id WITH =)', 'UNIQUE (id) DEFERRABLE', 'more int DEFAULT 1', 'more serial')
{
	sql("DROP TABLE public.big; CREATE TABLE public.big ($like, $kind)");
	is(sql("SELECT privacy_scan.restore_file($big, 'public.big')"), 20000, "into a table with $kind");
	is(sql('SELECT count(*) FROM public.big WHERE id = ANY (ARRAY[$$7$$, $$20000$$])'), 2, 'its indexes find the rows');
	is(sql('SELECT count(*) FROM public.big WHERE more IS NOT NULL'), 20000, 'defaults are made') if $kind =~ /more/;
	next if $kind =~ /more/;
	like(failure("SELECT privacy_scan.restore_file($big, 'public.big')"), qr/23505|23P01/, 'twice is refused');
	is(sql('SELECT count(*) FROM public.big'), 20000, 'and nothing of it stays');
}
for my $kind ("CHECK (id <> '20000')", "CHECK (id < '5')")
{
	sql("DROP TABLE public.big; CREATE TABLE public.big ($like, $kind)");
	like(failure("SELECT privacy_scan.restore_file($big, 'public.big')"), qr/23514/, "$kind: a row that breaks it is refused");
	is(sql('SELECT count(*) FROM public.big'), 0, 'and nothing stays');
}
sql("DROP TABLE public.big; CREATE TABLE public.big ($like) PARTITION BY LIST (root); CREATE TABLE public.big_s PARTITION OF public.big FOR VALUES IN ('s')");
is(sql("SELECT privacy_scan.restore_file($big, 'public.big'); SELECT count(*) FROM public.big_s") =~ s/\n/|/r, '20000|20000', 'into partitions');

# Large tables are compressed by a thread and read back by a parallel worker; without one, or with types that may not, all is done here.
$node->append_conf('postgresql.conf', 'log_min_messages = debug1');
$node->reload;
sub workers { return scalar(() = slurp_file($node->logfile) =~ /starting background worker process "parallel worker/g) }
sub exported_again
{
	my ($of, $settings) = @_;
	unlink "$files/" . sql("SELECT file FROM privacy_scan.archive_files WHERE id = $of");
	my $before = workers();
	my $digest = sql("SET min_parallel_table_scan_size = 0; $settings SELECT digest FROM privacy_scan.export_archive($of)");
	is($digest, sql("SELECT digest FROM privacy_scan.archives WHERE id = $of"), "exported again: $settings");
	is(file_state($of), 'ok', 'and ok');
	return workers() - $before;
}
is(exported_again($id, ''), 0, 'domains and composite types are read back here');
my $wide = join ', ', map { qq{DROP COLUMN "$_"} } split /\n/, sql("SELECT attname FROM pg_attribute a JOIN pg_type t ON t.oid = atttypid
	WHERE attrelid = (SELECT leaf::regclass FROM privacy_scan.archives WHERE id = $big) AND NOT attisdropped AND (typtype IN ('c', 'd') OR typname = '_pair')") =~ s/"/""/gr;
sql("ALTER TABLE $_ $wide") for split /\n/, sql("SELECT unnest(ARRAY[archive, leaf]) FROM privacy_scan.archives WHERE id = $big");
is(exported_again($big, ''), 1, 'a parallel worker reads it back');
is(exported_again($big, 'SET max_parallel_workers = 0;'), 0, 'none where there is none');
is(exported_again($big, 'SET max_parallel_maintenance_workers = 0;'), 0, 'or where none is allowed');
killed_at_work("thread and worker, round $_", 'SET min_parallel_table_scan_size = 0;') for 1 .. 2;
is(exported_again($big, ''), 1, 'the next export works');
is(scalar(() = glob "$files/archive_*_${big}_*"), 2, 'and has removed what was left behind');
$node->append_conf('postgresql.conf', 'log_min_messages = warning');
$node->reload;

# What the worker was sent is not what the disk keeps. Where the file was complete before it was touched that is no fault of the export: once more.
my ($touched, $said) = (0, '');
for (1 .. 20)
{
	unlink "$files/" . sql("SELECT file FROM privacy_scan.archive_files WHERE id = $big");
	my $run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
		"SET min_parallel_table_scan_size = 0; SET privacy_scan.archive_level = 19; SELECT * FROM privacy_scan.export_archive($big)" ], '>', \$said, '2>&1');
	my $path;
	for (1 .. 10_000)
	{
		($path) = grep { -s } glob "$files/archive_*_${big}_*.tmp";
		last if $path || !$run->pumpable;
		usleep(200);
	}
	if ($path && open my $out, '+<:raw', $path)
	{
		seek $out, 20, 0;
		syswrite $out, 'damage';
		close $out;
		++$touched;
	}
	$run->finish;
	last if $said =~ /does not hold what was written/;
}
like($said, qr/archive file does not hold what was written to it/, "a disk that keeps something else is noticed ($touched tried)");

# Whose archive it is.
sql('CREATE ROLE other LOGIN; GRANT USAGE ON SCHEMA privacy_scan TO other; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA privacy_scan TO other');
for my $call ("export_archive($id)", "verify_archive($id)", "confirm_archive($id)", "restore_file($id, 'pg_catalog.pg_class')")
{
	like(failure("SET ROLE other; SELECT * FROM privacy_scan.$call"), qr/42501/, "$call is for the owner alone");
}

done_testing();
