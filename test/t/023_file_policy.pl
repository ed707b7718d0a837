# A policy that makes files: rows leave the database only when their file is proven and confirmed, batches and whole
# partitions alike; a window comes back into the live family; a server killed at any moment loses and doubles nothing.

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

sub run_files { return sql('CALL privacy_scan.export_archives()') }
# The live relation takes old rows again, if its partition of them went.
my $partition = 0;
sub make_partition
{
	++$partition;
	return sql(qq{DO \$\$ BEGIN CREATE TABLE "Evidence_old_$partition" PARTITION OF "Evidence" FOR VALUES FROM ('2020-01-01') TO ('2020-03-01');
		EXCEPTION WHEN invalid_object_definition THEN NULL; END \$\$});
}
sub names { return join ' ', sort map { s{.*/}{}r } glob "$files/*" }

sub places
{
	return sql('SELECT place, count(DISTINCT leaf), sum(CASE action WHEN \'archive\' THEN rows ELSE -rows END)
		FROM privacy_scan.archives GROUP BY place ORDER BY place');
}

# Scans with five evidences each: two months go whole; the evidence of every tenth lies in the month that stays, so
# that it goes in batches. A generated column keeps "Note" from going whole.
sql(q{
	CREATE TABLE "Scan" (id int PRIMARY KEY, status text NOT NULL, at timestamp(3) NOT NULL);
	CREATE TABLE "Evidence" (id text, scan int NOT NULL REFERENCES "Scan" ON DELETE CASCADE, at timestamp(3) NOT NULL,
		details jsonb) PARTITION BY RANGE (at);
	CREATE TABLE "Note" (id int, scan int NOT NULL REFERENCES "Scan" ON DELETE CASCADE, body text,
		length int GENERATED ALWAYS AS (length(body)) STORED);
	CREATE INDEX ON "Evidence" (scan);
	CREATE INDEX ON "Note" (scan);
	CREATE TABLE "Evidence_1" PARTITION OF "Evidence" FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
	CREATE TABLE "Evidence_2" PARTITION OF "Evidence" FOR VALUES FROM ('2020-02-01') TO ('2020-03-01');
	CREATE TABLE "Evidence_3" PARTITION OF "Evidence" FOR VALUES FROM ('2020-03-01') TO ('2099-01-01');
	INSERT INTO "Scan" SELECT n, 'done', timestamp '2020-01-01' + n * interval '1 hour' FROM generate_series(0, 1000) n;
	INSERT INTO "Scan" SELECT n, 'done', now() FROM generate_series(2000, 4000) n;
	INSERT INTO "Evidence" SELECT s.id || '-' || k, s.id, CASE WHEN s.id % 10 = 0 THEN now() ELSE s.at END,
		jsonb_build_object('k', k, 'text', repeat(md5(s.id::text), 5)) FROM "Scan" s, generate_series(1, 5) k;
	INSERT INTO "Note" SELECT id, id, CASE WHEN id % 2 = 0 THEN NULL ELSE 'note ' || id END FROM "Scan";
	VACUUM "Scan", "Evidence", "Note";
	CREATE TABLE before AS
		SELECT 'Scan' AS relation, (privacy_scan.row_digest(t.*)).* FROM "Scan" t UNION ALL
		SELECT 'Evidence', (privacy_scan.row_digest(t.*)).* FROM "Evidence" t UNION ALL
		SELECT 'Note', (privacy_scan.row_digest(t.*)).* FROM "Note" t;});

like(failure(q{SELECT privacy_scan.set_retention('"Scan"', '365 days', 'at', remove_after => 'confirmed')}), qr/22023/,
	'remove_after is for files');
like(failure(q{SELECT privacy_scan.set_retention('"Scan"', '365 days', 'at', archive => 'file', remove_after => 'never')}), qr/22023/,
	'remove_after is one of two');
like(failure(q{SELECT privacy_scan.set_retention('"Scan"', '365 days', 'at', archive => 'tape')}), qr/22023/, 'there are two kinds of archive');
sql(q{SELECT privacy_scan.set_retention('"Scan"', '365 days', 'at', archive => 'file')});
is(sql('SELECT archive, remove_after FROM privacy_scan.retention_policies'), 'file|confirmed', 'confirmation is the default');

sub archive
{
	return sql(q{CALL privacy_scan.run_retention('"Scan"', force => true, confirm => true, max_rows => 500)});
}
archive();
is(places(), 'table|5|7007', 'all is in tables first: two partitions, a window each of the three relations');
run_files();
is(places(), 'table and file|5|7007', 'then there are files, and the tables stay');
is(sql('SELECT count(*) FROM privacy_scan.check_archives()'), 0, 'all is well');
is(sql(q{SELECT string_agg(DISTINCT state, ',') FROM privacy_scan.verify_archive() WHERE file IS NOT NULL}), 'ok', 'the files, too');
is(sql(q{SELECT count(*) FROM privacy_scan.archive_files WHERE confirmed_at IS NULL}), 5, 'nothing is confirmed');
run_files();
is(places(), 'table and file|5|7007', 'nothing goes unconfirmed');

# Confirmation.
my ($one, $sha256) = split /\|/, sql(q{SELECT id, sha256 FROM privacy_scan.archive_files WHERE leaf LIKE '%Evidence_1"'});
like(failure("SELECT privacy_scan.confirm_archive($one, repeat('0', 64))"), qr/22023/, 'a copy that differs is no confirmation');
is(sql("SELECT privacy_scan.confirm_archive($one, '$sha256')"), 't', 'a copy that is equal is');
is(sql("SELECT privacy_scan.confirm_archive($one)"), 'f', 'twice is once');
my $path = "$files/" . sql("SELECT file FROM privacy_scan.archive_files WHERE id = $one");
my $content = slurp_file($path);
sub put { my ($bytes) = @_; open my $out, '>:raw', $path or die; print $out $bytes; close $out; return }
put(substr $content, 0, -1);
like(failure('CALL privacy_scan.export_archives()'), qr/XX001/, 'with a damaged file the table stays');
rename $path, "$path.away" or die;
like(failure('CALL privacy_scan.export_archives()'), qr/58P01/, 'with a missing file it stays');
rename "$path.away", $path or die;
put($content);
sql(q{UPDATE public_archive."Evidence_1" SET details = '{}' WHERE id = '1-1'});
like(failure('CALL privacy_scan.export_archives()'), qr/XX001/, 'a table that is not as the ledger says stays');
sql(q{UPDATE public_archive."Evidence_1" SET details = jsonb_build_object('k', 1, 'text', repeat(md5('1'), 5)) WHERE id = '1-1'});
sql('CREATE VIEW in_the_way AS SELECT * FROM public_archive."Evidence_1"');
like(failure('CALL privacy_scan.export_archives()'), qr/2BP01/, 'a table that something depends on stays');
sql('DROP VIEW in_the_way');
is(places(), 'table and file|5|7007', 'it is there still');
run_files();
like(places(), qr/^file\|1\|\d+\ntable and file\|4\|/, 'confirmed and proven it goes');
is(sql(q{SELECT to_regclass('public_archive."Evidence_1"') IS NULL}), 't', 'its table is gone');
is(sql('SELECT count(*) FROM privacy_scan.check_archives()'), 0, 'and all is well');
sql('SELECT privacy_scan.confirm_archive(id) FROM privacy_scan.archive_files');
run_files();
is(places(), 'file|5|7007', 'all of it goes');
is(sql('SELECT (SELECT count(*) FROM public_archive."Scan_archive") + (SELECT count(*) FROM public_archive."Evidence_archive")'), 0,
	'no row of it is in the database');
is(scalar(split / /, names()), 10, 'there are five files and their manifests');
is(sql('SELECT count(*) FROM privacy_scan.check_archives()'), 0, 'all is well');

# What a failover leaves.
rename $path, "$path.away" or die;
is(sql("SELECT state FROM privacy_scan.verify_archive($one)"), 'MISSING', 'a missing file is MISSING');
is(sql("SELECT state FROM privacy_scan.archives WHERE id = $one"), 'MISSING', 'and the ledger says so');
like(sql("SELECT status || detail FROM privacy_scan.health() WHERE component = 'retention'"), qr/^attention.*5 files, 0 of them not confirmed; archives are not/,
	'and health()');
rename "$path.away", $path or die;
is(sql("SET privacy_scan.archive_directory = ''; SELECT state FROM privacy_scan.verify_archive($one)"), 'MISSING', 'without a directory, too');
sql('SELECT count(*) FROM privacy_scan.verify_archive()');

# The way back.
is(sql(q{SELECT count(*) FROM privacy_scan.restore_archive('"Scan"', ARRAY['7'])}), 0, 'nothing is found in files');
my $roots = sql(q{SELECT min(id) FROM privacy_scan.archive_files WHERE archive LIKE '%Scan_archive%'});
sql(q{ALTER TABLE public_archive."Scan_archive" ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON public_archive."Scan_archive" USING (id < 5);
	CREATE ROLE reader; GRANT USAGE ON SCHEMA public_archive TO reader});
is(sql("SELECT privacy_scan.restore_file($roots)"), 1001, 'the window of roots comes back into the archive');
my $table = sql("SELECT leaf FROM privacy_scan.archive_files WHERE id = $roots");
is(sql("GRANT SELECT ON $table TO reader; SET ROLE reader; SELECT count(*) FROM $table"), 5, 'under the row security of the archive');
sql(q{DROP POLICY few ON public_archive."Scan_archive"; ALTER TABLE public_archive."Scan_archive" DISABLE ROW LEVEL SECURITY});
like(failure("SELECT privacy_scan.restore_file($roots)"), qr/55000/, 'once');
like(failure(q{SELECT privacy_scan.restore_archive('"Scan"', ARRAY['7'])}), qr/55000.*may be in files/s, 'no family comes back without its children');
run_files();
is(sql("SELECT removed_at IS NULL FROM privacy_scan.archive_files WHERE id = $roots"), 't', 'what was brought back stays');
sql("SELECT privacy_scan.restore_file(id) FROM privacy_scan.archive_files WHERE id <> $roots");
is(places(), 'table and file|5|7007', 'all of it is back');
is(sql('SELECT count(*) FROM privacy_scan.check_archives()'), 0, 'as it was');
make_partition();
sql(q{SELECT count(*) FROM privacy_scan.restore_archive('"Scan"', 'id BETWEEN 1 AND 12')});
is(sql('SELECT count(*) FROM "Evidence" WHERE scan BETWEEN 1 AND 12'), 60, 'families come back into the live relations');
is(sql(q{SELECT string_agg(DISTINCT state, ',') FROM privacy_scan.verify_archive() WHERE file IS NULL}), 'ok', 'the tables are without them');
sql('SELECT privacy_scan.confirm_archive(id) FROM privacy_scan.archive_files');
my $names = names();
run_files();
like(places(), qr/^file\|1\|\d+\ntable and file\|4\|/, 'what has changed gets a new file, unconfirmed; what has not goes');
isnt(names(), $names, 'under new names');
is(sql('SELECT count(*) FROM privacy_scan.check_archives()'), 0, 'all is well');
sql('SELECT privacy_scan.confirm_archive(id) FROM privacy_scan.archive_files');
run_files();
is(places(), 'file|5|6923', 'and goes');
is(scalar(split / /, names()), 10, 'the files of before are gone');

# Everything back: the live relations are as they were.
sql('SELECT privacy_scan.restore_file(id) FROM privacy_scan.archive_files');
make_partition();
sql(q{SELECT count(*) FROM privacy_scan.restore_archive('"Scan"', 'true')});
sub as_before
{
	my ($name) = @_;
	is( sql(q{SELECT relation FROM before b WHERE digest <> CASE relation
		WHEN 'Scan' THEN (SELECT (privacy_scan.row_digest(t.*)).digest FROM "Scan" t)
		WHEN 'Evidence' THEN (SELECT (privacy_scan.row_digest(t.*)).digest FROM "Evidence" t)
		ELSE (SELECT (privacy_scan.row_digest(t.*)).digest FROM "Note" t) END}), '', $name);
	return;
}
as_before('all that went out as files is live again, equal by its digests');

# Unattended, and killed at random moments.
sql(q{SELECT privacy_scan.set_retention('"Scan"', '365 days', 'at', archive => 'file', remove_after => 'exported')});
for my $round (1 .. 5)
{
	my $out = '';
	my $run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'),
		'-c', q{CALL privacy_scan.run_retention('"Scan"', force => true, confirm => true, max_rows => 500)},
		'-c', 'CALL privacy_scan.export_archives()' ], '>', \$out, '2>&1');
	usleep(int(rand(600_000)));
	$node->stop('immediate');
	$run->finish;
	$node->start;
	is(sql('SELECT count(*) FROM privacy_scan.check_archives()'), 0, "round $round: killed, nothing is lost or doubled");
}
archive();
run_files();
like(places(), qr/^file\|\d+\|7007(\n.*\|0)*$/, 'the next run converges');
is(sql('SELECT count(*) FROM privacy_scan.check_archives()'), 0, 'and all is well');

# A job does both.
sql('SELECT privacy_scan.restore_file(id) FROM privacy_scan.archive_files WHERE rows > 0');
make_partition();
sql(q{SELECT count(*) FROM privacy_scan.restore_archive('"Scan"', 'true')});
as_before('all is live again');
sql(q{CALL privacy_scan.run_job('retention "public"."Scan"')});
like(places(), qr/^file\|\d+\|7007/, 'a job archives and exports');
is(sql('SELECT count(*) FROM privacy_scan.check_archives()'), 0, 'and all is well');

done_testing();
