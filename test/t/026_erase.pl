# Erasure in files: they are written anew without the rows, the old ones go with the commit and not before; damage
# refuses; a server killed at any moment leaves all of it or nothing, and the next call finishes.

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

sub names { return join ' ', sort map { s{.*/}{}r } glob "$files/*" }
sub is_well { return is(sql('SELECT count(*) FROM privacy_scan.check_archives()'), 0, $_[0]) }

# What an erasure did: rows by place and relation, sorted.
sub erased
{
	my ($condition, $dry_run, $before) = @_;
	$before //= '';
	return sql(qq{$before SELECT string_agg(concat_ws(' ', place, relation, rows), ', ' ORDER BY place, relation::text) FROM (
		SELECT place, relation, sum(rows) AS rows FROM privacy_scan.erase('"Scan"', \$\$$condition\$\$, 'request', dry_run => $dry_run) GROUP BY 1, 2) x});
}

# Scans with three evidences and a note each: two months go whole, the rest in windows.
sql(q{
	CREATE TABLE "Scan" (id int PRIMARY KEY, input text NOT NULL, at timestamp(3) NOT NULL);
	CREATE TABLE "Evidence" (id text, scan int NOT NULL REFERENCES "Scan" ON DELETE CASCADE, at timestamp(3) NOT NULL, details jsonb) PARTITION BY RANGE (at);
	CREATE TABLE "Note" (id int PRIMARY KEY, scan int NOT NULL REFERENCES "Scan" ON DELETE CASCADE, body text);
	CREATE INDEX ON "Evidence" (scan);
	CREATE INDEX ON "Note" (scan);
	CREATE TABLE "Evidence_1" PARTITION OF "Evidence" FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
	CREATE TABLE "Evidence_2" PARTITION OF "Evidence" FOR VALUES FROM ('2020-02-01') TO ('2020-03-01');
	CREATE TABLE "Evidence_3" PARTITION OF "Evidence" FOR VALUES FROM ('2020-03-01') TO ('2099-01-01');
	INSERT INTO "Scan" SELECT n, 'site ' || n % 50, timestamp '2020-01-01' + n * interval '1 hour' FROM generate_series(0, 1199) n;
	INSERT INTO "Scan" SELECT n, 'site ' || n % 50, now() FROM generate_series(2000, 2199) n;
	INSERT INTO "Evidence" SELECT s.id || '-' || k, s.id, s.at, jsonb_build_object('k', k, 'text', s.input || md5(s.id::text)) FROM "Scan" s, generate_series(1, 3) k;
	INSERT INTO "Note" SELECT id, id, 'note on ' || input FROM "Scan";
	VACUUM "Scan", "Evidence", "Note";
	SELECT privacy_scan.set_retention('"Scan"', '365 days', 'at', archive => 'file');
	CALL privacy_scan.run_retention('"Scan"', force => true, confirm => true);
	CALL privacy_scan.export_archives();});
is(sql('SELECT DISTINCT place FROM privacy_scan.archives'), 'table and file', 'tables and files hold the same');

make_hostile($node);

# Tables that have files: both are written anew.
my $all = names();
is(erased(q{input = 'site 7'}, 'true'),
	'file Evidence 72, file Note 24, file Scan 24, live Evidence 12, live Note 4, live Scan 4, table archive Evidence 72, table archive Note 24, table archive Scan 24' =~ s/(Evidence|Scan|Note)/"$1"/gr,
	'a dry run counts every copy');
is(names(), $all, 'and writes no file');
is(sql('SELECT count(*) FROM privacy_scan.erasures'), 0, 'nor does it enter anything');
my $planned = erased(q{input = 'site 7'}, 'true');
is(erased(q{input = 'site 7'}, 'false'), $planned, 'the erasure does what it said');
is_well('all is well');
is(scalar(split / /, names()), 8, 'there are as many files as before');
is(scalar(grep { $all =~ /\Q$_\E/ } split / /, names()), 0, 'none of them is one of before');
is(sql('SELECT count(*) FROM privacy_scan.archive_file_trash'), 0, 'nothing is left to remove');
is(sql(q{SELECT count(*) FROM privacy_scan.archived_rows(NULL::"Note") WHERE body LIKE '%site 7'}), 0, 'no row of it is in tables');
sql('SELECT privacy_scan.confirm_archive(id) FROM privacy_scan.archive_files; CALL privacy_scan.export_archives()');
is(sql('SELECT DISTINCT place FROM privacy_scan.archives'), 'file', 'the new files take the tables\' place');

# Files alone.
$all = names();
$planned = erased(q{input = 'site 8'}, 'true');
like($planned, qr/^file "Evidence" 72, file "Note" 24, file "Scan" 24, live "Evidence" 12, live "Note" 4, live "Scan" 4$/, 'files alone: they are looked through');
$node->psql('postgres', q{BEGIN; SELECT * FROM privacy_scan.erase('"Scan"', $$input = 'site 8'$$, 'x', false); ROLLBACK});
is(names(), $all, 'after a rollback the files are those of before');
is_well('and all is well');
my $erase = q{SELECT * FROM privacy_scan.erase('"Scan"', $$input = 'site 8'$$, 'x', false)};
like(failure("BEGIN; $erase; PREPARE TRANSACTION 'x'"), qr/0A000: cannot PREPARE a transaction that has written or replaced archive files/,
	'no other session could see to the files');
is(names(), $all, 'after which they are those of before, too');
like(failure("BEGIN; SAVEPOINT s; $erase; ROLLBACK TO s; PREPARE TRANSACTION 'x'"), qr/55000: prepared transactions are disabled/, 'unless there is nothing to see to');
sql(q{BEGIN; SAVEPOINT s; SELECT * FROM privacy_scan.erase('"Scan"', $$input = 'site 8'$$, 'x', false); ROLLBACK TO s; SELECT 1; COMMIT});
is(names(), $all, 'and after one to a savepoint');
sql(q{BEGIN; SAVEPOINT s; SELECT * FROM privacy_scan.erase('"Scan"', $$input = 'site 8'$$, 'x', false); RELEASE s;
	SELECT * FROM privacy_scan.erase('"Scan"', $$input = 'site 9'$$, 'x', false); COMMIT});
is(scalar(split / /, names()), 8, 'two erasures in one transaction leave one version of each file');
is_well('and all is well');
is(sql(q{SELECT count(*) FROM privacy_scan.archive_files WHERE confirmed_at IS NULL AND removed_at IS NOT NULL}), 4, 'whose copies are to be made again');
is(sql(q{SELECT to_regclass('public_archive."Evidence_1"') IS NULL}), 't', 'no table is left');
sql(q{CREATE TABLE back (LIKE "Note");
	SELECT privacy_scan.restore_file(id, 'back') FROM privacy_scan.archive_files WHERE archive LIKE '%Note%'});
is(sql(q{SELECT count(*), count(*) FILTER (WHERE body ~ 'site [789]$') FROM back}), '1128|0', 'the file holds the others, and none of them');

# Some of a file's rows, into a table of one's own.
my ($notes) = sql(q{SELECT id FROM privacy_scan.archive_files WHERE archive LIKE '%Note%'});
is(sql(qq{TRUNCATE back; SELECT privacy_scan.restore_file($notes, 'back', \$\$scan BETWEEN 100 AND 119 AND body <> 'note on site 10'\$\$)}), 16,
	'a condition takes some of the rows of a file back');
is(sql('SELECT count(*), min(scan), max(scan) FROM back'), '16|100|119', 'those that meet it');
like(failure("SELECT privacy_scan.restore_file($notes, condition => 'scan = 1')"), qr/22023/, 'which needs a table');
like(failure("SELECT privacy_scan.restore_file($notes, 'back', 'nowhere = 1')"), qr/42703/, 'and must be one over its columns');
sql(q{CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
	CREATE TRIGGER lose BEFORE INSERT ON back FOR EACH ROW WHEN (NEW.scan = 101) EXECUTE FUNCTION lose()});
like(failure("SELECT privacy_scan.restore_file($notes, 'back', 'scan BETWEEN 100 AND 119')"), qr/55000.*did not take/, 'what the table does not take is noticed');
is(sql('SELECT count(*) FROM back'), 16, 'and nothing of it stays');

# A family that came back live, and was in a file that is out of date since; and what a rolled-back export left.
my $evidence = sql(q{SELECT id FROM privacy_scan.archive_files WHERE leaf LIKE '%Evidence_1"'});
sql(q{SELECT privacy_scan.restore_file(id) FROM privacy_scan.archive_files;
	CREATE TABLE "Evidence_old" PARTITION OF "Evidence" FOR VALUES FROM ('2020-01-01') TO ('2020-03-01');
	SELECT privacy_scan.restore_archive('"Scan"', ARRAY['50'])});
$node->psql('postgres', "BEGIN; UPDATE privacy_scan.archive_file_ledger SET digest = ''; SELECT * FROM privacy_scan.export_archive($evidence); ROLLBACK");
is(scalar(split / /, names()), 10, 'an export that was rolled back left its files');
my $stale = sql("SELECT file FROM privacy_scan.archive_files WHERE id = $evidence");
like(erased('id = 50', 'false'), qr/^live "Evidence" 3, live "Note" 1, live "Scan" 1$/, 'a family that came back live goes');
isnt(sql("SELECT file FROM privacy_scan.archive_files WHERE id = $evidence"), $stale, 'and the file that was out of date is made anew');
is(scalar(split / /, names()), 8, 'what was left is gone');
is(sql("CREATE TABLE again (LIKE \"Evidence\"); SELECT privacy_scan.restore_file($evidence, 'again', 'scan = 50')"), 0, 'no file holds it');
is_well('all is well');
sql('SELECT privacy_scan.confirm_archive(id) FROM privacy_scan.archive_files; CALL privacy_scan.export_archives()');

# A key range spares what cannot hold the rows; a file that is needed but damaged or missing refuses.
my ($scan_file) = split /\n/, sql(q{SELECT file FROM privacy_scan.archive_files WHERE archive LIKE '%Scan%'});
my $first = sql(q{SELECT file FROM privacy_scan.archive_files WHERE leaf LIKE '%Evidence_1"'});
rename "$files/$first", "$files/../away" or die;
is(erased('id = 1100', 'true'), 'file "Evidence" 3, file "Note" 1, file "Scan" 1, live "Evidence" 0, live "Note" 0, live "Scan" 0', 'a file of other months is not read');
like(failure(q{SELECT * FROM privacy_scan.erase('"Scan"', 'id = 4', 'x', false)}), qr/58P01/, 'one that is missing refuses');
rename "$files/../away", "$files/$first" or die;
my $content = slurp_file("$files/$scan_file");
sub put { my ($bytes) = @_; open my $out, '>:raw', "$files/$scan_file" or die; print $out $bytes; close $out; return }
put(substr $content, 0, -1);
like(failure(q{SELECT * FROM privacy_scan.erase('"Scan"', 'id = 2001', 'x', false)}), qr/XX001/, 'one that is damaged refuses');
put($content);
is(sql(q{SELECT count(*) FROM "Scan" WHERE id = 2001}), 1, 'and nothing has changed');
is_well('all is well');

# A file that is exchanged between two looks at it, when the first evidence is staged: one that may hold rows and is only looked
# through, for one that holds none (zstd's frame of a header as it is); one that is staged, for the same rows without zstd's checksum.
my ($second) = sql(q{SELECT file FROM privacy_scan.archive_files WHERE leaf LIKE '%Evidence_2"'});
sql(q{CREATE TABLE exchange (file text, bytes oid);
	CREATE FUNCTION exchange() RETURNS event_trigger LANGUAGE plpgsql SET search_path = public AS $$
	BEGIN
		IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity ~ '"Evidence_1"$') THEN
			PERFORM lo_export(bytes, file) FROM exchange;
		END IF;
	END $$;
	CREATE EVENT TRIGGER exchange ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION exchange()});
my ($header, $frame) = ("id,scan,at,details\n", slurp_file("$files/$first"));
for my $case ([ $second, pack('H8CCvCa*', '28b52ffd', 0x20, length $header, 8 * length($header) + 1, 0, $header) ],
	[ $first, substr($frame, 0, 4) . chr(ord(substr $frame, 4, 1) & ~4) . substr($frame, 5, -4) ])
{
	my ($name, $bytes) = @$case;
	my $was = slurp_file("$files/$name");
	sql(qq{TRUNCATE exchange; INSERT INTO exchange VALUES ('$files/$name', lo_from_bytea(0, decode('} . unpack('H*', $bytes) . q{', 'hex')))});
	like(failure(q{SELECT * FROM privacy_scan.erase('"Scan"', 'id IN (4, 1100)', 'x', false)}), qr/XX001.*"\Q$name\E" was exchanged while it was read/, 'one that is exchanged meanwhile refuses');
	open my $out, '>:raw', "$files/$name" or die;
	print $out $was;
	close $out;
}
sql('DROP EVENT TRIGGER exchange');
is_well('and nothing has changed');

# A file that is missing may be passed over: it does not bring back what was erased.
my $passed = q{SELECT string_agg(concat_ws(' ', place, relation, rows, action), ', ' ORDER BY place, relation::text)
	FROM privacy_scan.erase('"Scan"', %s, 'x', dry_run => %s, missing_files => 'skip') WHERE rows > 0 OR action ~ 'skip'};
sub state_of { my ($name) = @_; return sql("SELECT state || ' ' || detail FROM privacy_scan.verify_archive() WHERE file = '$name'") }
rename "$files/$first", "$files/../away" or die;
like(failure(q{SELECT * FROM privacy_scan.erase('"Scan"', ARRAY['4'], 'x', false)}), qr/58P01.*missing_files => 'skip'/s, 'what is missing refuses, and says how to go on');
is(sql(sprintf $passed, q{ARRAY['4']}, 'true'), 'file "Note" 1 would erase, file "Scan" 1 would erase, missing file "Evidence" 0 would skip', 'a dry run says what it would pass over');
is(sql(sprintf $passed, q{ARRAY['4']}, 'false'), 'file "Note" 1 erase, file "Scan" 1 erase, missing file "Evidence" 0 skip', 'told to, it passes it over');
like(state_of($first), qr/^MISSING .*erasure \d+ passed it over/, 'which is not forgotten');
rename "$files/../away", "$files/$first" or die;
like(state_of($first), qr/^UNERASED erasure \d+ passed it over/, 'when it is back that is said');
my $january = sql("SELECT id FROM privacy_scan.archive_files WHERE file = '$first'");
sql('TRUNCATE again');
for my $call ("restore_file($january)", "restore_file($january, 'again')", "restore_archive($january, 'again'::regclass)")
{
	like(failure("SELECT privacy_scan.$call"), qr/55000.*were to be erased/s, "$call refuses it");
}
is(sql("SELECT state || detail LIKE 'DIFFERENT%were to be erased%' FROM privacy_scan.drill_archive($january)"), 't', 'nor does a drill take it');
is(sql(sprintf $passed, q{'false'}, 'true'), 'file "Evidence" 3 would erase', 'the next erasure of the root would take it');
is(sql(sprintf $passed, q{'false'}, 'false'), 'file "Evidence" 3 erase', 'whatever else it is asked for');
is_well('all is well');
is(sql("SELECT privacy_scan.restore_file($january, 'again', 'scan = 4')"), 0, 'nothing of it is left');
is(sql("SELECT count(*) || ' ' || count(erased_at) FROM privacy_scan.erasure_missing_files"), '1 1', 'and that is known');
is(sql('SELECT count(*) FROM privacy_scan.archive_file_trash'), 0, 'nothing is left to remove');

# One that is damaged, likewise; and one that was passed over and comes back damaged stops nobody who says so.
$first = sql("SELECT file FROM privacy_scan.archive_files WHERE id = $january");
my $whole = slurp_file("$files/$first");
sub put_first { my ($bytes) = @_; open my $out, '>:raw', "$files/$first" or die; print $out $bytes; close $out; return }
put_first(substr $whole, 0, -1);
like(failure(q{SELECT * FROM privacy_scan.erase('"Scan"', ARRAY['22'], 'x', false)}), qr/XX001.*\Q$first\E.*is DIFFERENT.*missing_files => 'skip'/s, 'what is damaged refuses, and says how to go on');
is(sql(sprintf $passed, q{ARRAY['22']}, 'false'), 'damaged file "Evidence" 0 skip, file "Note" 1 erase, file "Scan" 1 erase', 'told to, it passes it over');
like(state_of($first), qr/^DIFFERENT .*erasure \d+ passed it over/, 'which is not forgotten');
like(failure(q{SELECT * FROM privacy_scan.erase('"Scan"', 'id = 1101', 'x', true)}), qr/XX001.*\Q$first\E.*passed it over, and it is back/s, 'the next erasure of the root refuses');
is(sql(sprintf $passed, q{ARRAY['1101']}, 'false'), 'file "Evidence" 3 erase, file "Note" 1 erase, file "Scan" 1 erase', 'or goes on without it');
put_first($whole);
like(state_of($first), qr/^UNERASED erasure \d+ passed it over/, 'whole again it is UNERASED');
like(failure("SELECT privacy_scan.restore_file($january, 'again')"), qr/55000.*were to be erased/s, 'and not restored');
is(sql(sprintf $passed, q{'false'}, 'false'), 'file "Evidence" 3 erase', 'until it has lost what was to go');
is(sql("SELECT privacy_scan.restore_file($january, 'again', 'scan = 22')"), 0, 'nothing of it is left');
is_well('all is well');

# The same of the root's own file: by ids, and what refers to them is found by these.
rename "$files/" . sql(q{SELECT file FROM privacy_scan.archive_files WHERE archive LIKE '%Scan%'}), "$files/../away" or die;
$scan_file = sql(q{SELECT file FROM privacy_scan.archive_files WHERE archive LIKE '%Scan%'});
like(failure(sprintf $passed, q{'id = 20'}, 'false'), qr/58P01.*erase by ids/s, 'a condition needs to see the roots');
sql(q{SELECT privacy_scan.hold('"Scan"', 'id = 3', 'court')});
like(failure(sprintf $passed, q{ARRAY['20']}, 'false'), qr/55000.*hold \d+ is in force/s, 'and so does a hold');
sql('SELECT privacy_scan.release_hold(id) FROM privacy_scan.holds');
is(sql(sprintf $passed, q{ARRAY['20']}, 'false'), 'file "Evidence" 3 erase, file "Note" 1 erase, missing file "Scan" 0 skip', 'by its id the family goes, but for the root');
rename "$files/../away", "$files/$scan_file" or die;
like(state_of($scan_file), qr/^UNERASED/, 'whose file is known when it is back');
is(sql(sprintf $passed, q{ARRAY['20']}, 'false'), 'file "Scan" 1 erase', 'and loses it');
is_well('all is well');
like(failure(q{SELECT * FROM privacy_scan.erase('"Scan"', 'id = 4', 'x', missing_files => 'maybe')}), qr/22023.*missing_files/s, 'there are two ways');

# Held in a file.
sql(q{SELECT privacy_scan.hold('"Scan"', ARRAY['5'], 'court')});
$all = names();
like(failure(q{SELECT * FROM privacy_scan.erase('"Scan"', 'id IN (5, 6)', 'x', false)}), qr/55000.*1 of 2 are held.*\(court\) keeps 1/s, 'what is held in a file refuses');
is(names(), $all, 'and no file has changed');
sql('SELECT privacy_scan.release_hold(id) FROM privacy_scan.holds');

# The old files cannot be removed at the commit: the next call does it.
{
	my ($in, $out) = ('', '');
	my $session = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$out, '2>&1');
	$in .= qq{BEGIN;\nSELECT count(*) FROM privacy_scan.erase('"Scan"', 'id = 5', 'x', false);\n\\echo done\n};
	$session->pump until $out =~ /done/;
	chmod 0500, $files;
	$in .= "COMMIT;\n\\echo committed\n";
	$session->pump until $out =~ /committed/;
	$session->finish;
	is(scalar(split / /, names()), 16 - 2, 'the old files of an erasure are there still') or note(names());
	my $left = sql('SELECT count(*) FROM privacy_scan.archive_file_trash');
	is($left, 6, 'and known');
	like(failure('SELECT * FROM privacy_scan.check_archives()'), qr/no error/, 'as a warning says');
	chmod 0700, $files;
	is_well('the next call finishes');
	is(scalar(split / /, names()), 8, 'they are gone');
	is(sql('SELECT count(*) FROM privacy_scan.archive_file_trash'), 0, 'and forgotten');
}

# A file whose name another cluster gave: it goes as well.
{
	my ($id, $file, $manifest) = split /\|/, sql(q{SELECT id, file, manifest FROM privacy_scan.archive_file_ledger WHERE target LIKE '%"Scan\_%'});
	rename "$files/$file", "$files/archive_1_1_1_1.csv.zst" or die;
	rename "$files/$manifest", "$files/archive_1_1_1_1.json" or die;
	sql("UPDATE privacy_scan.archive_file_ledger SET file = 'archive_1_1_1_1.csv.zst', manifest = 'archive_1_1_1_1.json' WHERE id = $id");
	erased('id = 1130', 'false');
	unlike(names(), qr/archive_1_1/, 'a file with the name of another cluster goes');
	is_well('and all is well');
}

# Another key since the files were written: their ranges, and types, say nothing.
sql(q{CREATE TABLE "Run" (id int PRIMARY KEY, made timestamp NOT NULL, ended timestamp NOT NULL);
	CREATE TABLE "Line" (run int NOT NULL REFERENCES "Run" ON DELETE CASCADE);
	INSERT INTO "Run" SELECT n, timestamp '2020-01-01' + n * interval '1 day', timestamp '2023-01-01' + n * interval '1 day' FROM generate_series(1, 9) n;
	INSERT INTO "Line" SELECT id FROM "Run" WHERE id <> 5;
	SELECT privacy_scan.set_retention('"Run"', '365 days', 'made', archive => 'file');
	CALL privacy_scan.run_retention('"Run"', force => true, confirm => true);
	UPDATE privacy_scan.archive_windows SET closed_at = now();
	CALL privacy_scan.export_archives();
	SELECT privacy_scan.confirm_archive(id) FROM privacy_scan.archive_files WHERE confirmed_at IS NULL;
	CALL privacy_scan.export_archives();
	SELECT privacy_scan.set_retention('"Run"', '365 days', 'ended', archive => 'file')});
my $lines = q{SELECT string_agg(concat_ws(' ', place, relation, rows), ', ' ORDER BY relation::text, place) FROM privacy_scan.erase('"Run"', 'id = %d', 'x', %s) WHERE rows > 0};
is(sql(sprintf $lines, 3, 'false'), 'file "Line" 1, file "Run" 1', 'a file of a former key is read');
sql(q{UPDATE privacy_scan.archive_ledger SET key = 'id bigint', key_from = '1', key_to = '9' WHERE relation IN ('"Run"'::regclass, '"Line"'::regclass) AND action = 'archive'});
is(sql(sprintf $lines, 4, 'false'), 'file "Line" 1, file "Run" 1', 'and one of another type of key');
is_well('all is well');
# Ids of a former policy as ends of ranges: erased, they are taken off, also off the manifest of a file that held none of the rows.
my $line_manifest = q{SELECT manifest FROM privacy_scan.archive_files WHERE archive LIKE '%Line%'};
sql(q{UPDATE privacy_scan.archive_ledger SET key = '"id" integer', key_from = '5', key_to = '99' WHERE relation IN ('"Run"'::regclass, '"Line"'::regclass) AND action = 'archive'});
is(sql(sprintf $lines, 6, 'false'), 'file "Line" 1, file "Run" 1', 'an id that ends no range');
like(slurp_file("$files/" . sql($line_manifest)), qr/"key_from": "5"/, 'the manifest has the range');
my $named = sql($line_manifest);
is(sql(sprintf $lines, 5, 'false'), 'file "Run" 1', 'one that ends it, of whom the other file has nothing');
unlike(slurp_file("$files/" . sql($line_manifest)), qr/"key_(from|to)": "(5|99)"/, 'its manifest has no range any more');
is((-e "$files/$named") ? 1 : 0, 0, 'and the old one is gone');
is(sql(q{SELECT count(*) FROM privacy_scan.archives WHERE relation ~ '"(Run|Line)"' AND key_from <> ''}), 0, 'nor has the ledger');
is_well('all is well');

# What comes back with a file loses what was to go, and nothing else does: neither what was given the id anew, nor
# what another root's erasure left in the file.
sql(q{CREATE TABLE users (email text PRIMARY KEY, at timestamp NOT NULL);
	CREATE TABLE posts (user_email text NOT NULL REFERENCES users, at timestamp NOT NULL);
	CREATE TABLE amounts (id numeric PRIMARY KEY, at timestamp NOT NULL);
	CREATE TABLE customers (id int PRIMARY KEY, at timestamp NOT NULL);
	CREATE TABLE shops (id int PRIMARY KEY, at timestamp NOT NULL);
	CREATE TABLE orders (customer int NOT NULL REFERENCES customers REFERENCES customers, shop int NOT NULL REFERENCES shops);
	INSERT INTO users VALUES ('ann@x', '2020-01-01'), ('bob@x', '2020-01-01');
	INSERT INTO posts TABLE users;
	INSERT INTO amounts VALUES (1.0, '2020-01-01');
	INSERT INTO customers SELECT n, '2020-01-01' FROM generate_series(1, 3) n;
	INSERT INTO shops VALUES (7, now()), (8, now());
	INSERT INTO orders VALUES (1, 7), (2, 7), (3, 8);
	SELECT privacy_scan.set_retention(root, '365 days', 'at', archive => 'file', remove_after => 'exported')
	FROM unnest('{users, amounts, customers, shops}'::regclass[]) AS root;
	SET privacy_scan.retention_batch_rows = 1;
	CALL privacy_scan.run_retention('users', force => true, confirm => true);
	CALL privacy_scan.run_retention('amounts', force => true, confirm => true);
	CALL privacy_scan.run_retention('customers', force => true, confirm => true);
	UPDATE privacy_scan.archive_windows SET closed_at = now();
	CALL privacy_scan.export_archives();
	UPDATE privacy_scan.archive_ledger SET key = '"email" text', key_from = 'ann@x', key_to = 'bob@x' WHERE relation = 'users'::regclass});
sub file_of { return sql(qq{SELECT file FROM privacy_scan.archive_files WHERE archive LIKE '%"$_[0]\\_%'}) || die }
sub away { my $name = file_of($_[0]); rename "$files/$name", "$files/../$_[0]" or die; return }
sub back { my $name = file_of($_[0]); rename "$files/../$_[0]", "$files/$name" or die; return }
my $skip = q{SELECT string_agg(concat_ws(' ', place, replace(relation::text, '"', ''), rows), ', ' ORDER BY place, relation::text, rows)
	FROM privacy_scan.erase('%s', ARRAY['%s'], 'x', dry_run => %s, missing_files => 'skip') WHERE rows > 0 OR place = 'missing file'};
away('amounts');
like(failure(sprintf $skip, 'amounts', '1', 'false'), qr/58P01.*told by their text/s, 'ids that are equal and not the same text need the file');
back('amounts');
away('users');
is(sql(sprintf $skip, 'users', 'ann@x', 'false'), 'file posts 1, missing file users 0', 'a root goes whose file is missing');
is(sql(q{SELECT count(*) FROM privacy_scan.archives WHERE 'ann@x' IN (key_from, key_to)}), 0, 'and ends no range any more');
sql(q{INSERT INTO users VALUES ('ann@x', now()); INSERT INTO posts VALUES ('ann@x', now());
	SELECT privacy_scan.hold('users', ARRAY['ann@x'], 'court')});
back('users');
is(sql(sprintf $skip, 'users', 'nobody', 'false'), '', 'what a hold keeps by now stays');
like(state_of(file_of('users')), qr/^UNERASED/, 'and is not forgotten');
sql('SELECT privacy_scan.release_hold(id) FROM privacy_scan.holds');
$planned = sql(sprintf $skip, 'users', 'bob@x', 'true');
is($planned, 'file posts 1, file users 1, file users 1', 'a dry run counts what is back');
is(sql(sprintf $skip, 'users', 'bob@x', 'false'), $planned, 'which goes with the next');
is(sql(q{SELECT string_agg(place || ' ' || relation || ' ' || rows, ', ' ORDER BY id, relation, place) FROM privacy_scan.erasures WHERE root LIKE '%users%'}) =~ s/"public"\.|"//gr,
	'file posts 1, file users 1, file posts 1, file users 1', 'each is counted once, with the erasure that was to take it');
is(sql(q{SELECT (SELECT count(*) FROM users) || ' ' || (SELECT count(*) FROM posts)}), '1 1', 'and nothing of who has the id now');
away('orders');
is(sql(sprintf $skip, 'customers', '1', 'false'), 'file customers 1, missing file orders 0', 'a file of two families is passed over');
is(sql(sprintf $skip, 'shops', '7', 'false'), 'live shops 1, missing file orders 0', 'by both');
back('orders');
is(sql(sprintf $skip, 'customers', '99', 'false'), 'file orders 1', 'back, it loses what the one took');
like(state_of(file_of('orders')), qr/^UNERASED/, 'and the other is not forgotten');
is(sql(sprintf $skip, 'shops', '99', 'false'), 'file orders 1', 'nor spared');
is_well('all is well');
like(sql(q{CREATE TABLE copied (LIKE customers);
	SELECT reason FROM privacy_scan.restore_archive((SELECT min(id) FROM privacy_scan.archives WHERE relation LIKE '%customers%' AND action = 'archive'), 'copied'::regclass)}),
	qr/, of 3 archives; archive \d+ took 1$/, 'a copy of a window says of how many archives it is');

# What was detached and exported ends with its grace period, its file too.
sql(q{CREATE TABLE "Trail" (id int PRIMARY KEY, at timestamp NOT NULL);
	INSERT INTO "Trail" SELECT n, '2020-01-01' FROM generate_series(1, 9) n;
	SELECT privacy_scan.set_retention('"Trail"', '365 days', 'at', archive => 'detach', grace => '10 days');
	CALL privacy_scan.run_retention('"Trail"', force => true, confirm => true);
	SELECT privacy_scan.export_archive(min(id)) FROM privacy_scan.archives WHERE relation ~ 'Trail'});
my $trail = sql(q{SELECT file FROM privacy_scan.archive_files WHERE archive ~ 'Trail'});
like(names(), qr/\Q$trail\E/, 'a detached table has a file');
sql(q{UPDATE privacy_scan.detached_tables SET detached_at = now() - interval '11 days';
	CALL privacy_scan.run_retention('"Trail"', force => true, confirm => true);
	SELECT privacy_scan.erase('"Trail"', 'id = 1', 'x', false)});
is_well('after the grace period all is well');
unlike(names(), qr/\Q$trail\E/, 'and the file has gone with the table');
sql('SELECT privacy_scan.drop_retention(root) FROM privacy_scan.retention_rules WHERE root <> \'"Scan"\'::regclass');
my $others = scalar(split / /, names()) - 8;

# Killed at random moments of an erasure of two sites: all of it or nothing.
my ($whole, $none) = (0, 0);
for my $round (1 .. 5)
{
	my $out = '';
	my $sites = join '|', 2 * $round + 8, 2 * $round + 9;
	my $run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
		"SELECT count(*) FROM privacy_scan.erase('\"Scan\"', \$\$input ~ '^site ($sites)\$'\$\$, 'round $round', false)" ], '>', \$out, '2>&1');
	# Odd rounds: within the writing of the files; even ones: when all are there, about the commit.
	my $enough = $others + ($round % 2 ? 9 : 16);
	for (1 .. 4000)
	{
		last if (() = glob "$files/*") >= $enough || !$run->pumpable;
		usleep(500);
	}
	usleep(int(rand($round % 2 ? 60_000 : 12_000)));
	$node->stop('immediate');
	$run->finish;
	$node->start;
	is_well("round $round: killed, and the archives are as the ledger says");
	my $is_done = sql("SELECT count(*) > 0 FROM privacy_scan.erasures WHERE reason = 'round $round'") eq 't';
	$is_done ? ++$whole : ++$none;
	like(erased("input ~ '^site ($sites)\$'", 'true'), $is_done ? qr/^live "Evidence" 0, live "Note" 0, live "Scan" 0$/ : qr/^file "Evidence" 144, .*live "Scan" 8$/,
		'all of it is ' . ($is_done ? 'erased' : 'there'));
	erased("input ~ '^site ($sites)\$'", 'false');
	is_well('the next erasure converges');
	is(scalar(split / /, names()), 8 + $others, 'and leaves no other file');
}
note("erased by the one that was killed: $whole, not erased: $none");

done_testing();
