# Archives are looked after by jobs: a damaged file makes them fail until it is mended; a server killed during a restore
# drill leaves nothing of it. Leaves that were detached stand until their grace period ends; a server killed on the way,
# or while they are dropped, loses and doubles nothing.

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

sub job { return "CALL privacy_scan.run_job('$_[0] privacy_scan.archive_ledger')" }

# Runs a statement and kills the server once the condition holds, or after some milliseconds.
sub kill_during
{
	my ($statement, $ready) = @_;
	my ($out, $err) = ('', '');
	my $session = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $statement ], '<', '/dev/null', '>', \$out, '2>', \$err);
	if (ref $ready) { usleep(${$ready} * 1000) }
	else { $node->poll_query_until('postgres', $ready) or die 'never ready' }
	$node->stop('immediate');
	$session->finish;
	$node->start;
	await_recovery($node);
}

sub make_family
{
	sql(q{
		CREATE TABLE "Scan" (id int PRIMARY KEY, at timestamp(3) NOT NULL);
		CREATE TABLE "Evidence" (id text, scan int NOT NULL REFERENCES "Scan" ON DELETE CASCADE, at timestamp(3) NOT NULL, body text)
			PARTITION BY RANGE (at);
		CREATE INDEX ON "Evidence" (scan);
		CREATE TABLE "Evidence_1" PARTITION OF "Evidence" FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
		CREATE TABLE "Evidence_2" PARTITION OF "Evidence" FOR VALUES FROM ('2020-02-01') TO ('2020-03-01');
		CREATE TABLE "Evidence_3" PARTITION OF "Evidence" FOR VALUES FROM ('2020-03-01') TO ('2099-01-01');
		INSERT INTO "Scan" SELECT n, timestamp '2020-01-01' + n * interval '1 hour' FROM generate_series(0, 1000) n;
		INSERT INTO "Scan" SELECT n, now() FROM generate_series(2000, 4000) n;
		INSERT INTO "Evidence" SELECT s.id || '-' || k, s.id, CASE WHEN s.id % 10 = 0 THEN now() ELSE s.at END, repeat(md5(s.id::text), 5)
			FROM "Scan" s, generate_series(1, 10) k;
		VACUUM "Scan", "Evidence"});
}

make_family();
sql(q{SELECT privacy_scan.set_retention('"Scan"', '365 days', 'at', archive => 'file', remove_after => 'exported');
	CALL privacy_scan.run_retention('"Scan"');
	CALL privacy_scan.export_archives()});
sql(job('verification'));
sql(job('drill')) for 1 .. 4;
is(sql('SELECT place, state, count(*), sum(found_rows) FROM privacy_scan.archive_drills GROUP BY 1, 2'), 'file|ok|4|11011', 'each file came back');

# Damage in a file.
my $file = sql(q{SELECT file FROM privacy_scan.archive_files WHERE leaf ~ 'Evidence_1"'});
system("cp '$files/$file' '$files/../kept' && printf X | dd of='$files/$file' bs=1 seek=1000 conv=notrunc 2>/dev/null") == 0 or die;
sql('ALTER DATABASE postgres SET privacy_scan.archive_sample = 100');
like(failure(job('verification')), qr/XX001.*the file of "public_archive"."Evidence_1" is DIFFERENT/, 'the job of verification fails');
my $id = sql(q{SELECT id FROM privacy_scan.archives WHERE leaf ~ 'Evidence_1"'});
is(sql("SELECT state FROM privacy_scan.drill_archive($id)"), 'DIFFERENT', 'so does a drill');
like(failure(job('drill')), qr/XX001/, 'and the job, as long as it is not mended');
is(sql(q{SELECT string_agg(state, ',') FROM privacy_scan.jobs WHERE kind IN ('verification', 'drill')}), 'failing,failing', 'which is seen');
system("cp '$files/../kept' '$files/$file'") == 0 or die;
sql(job('verification'));
sql(job('drill'));
is(sql(q{SELECT string_agg(last_outcome, ',') FROM privacy_scan.jobs WHERE kind IN ('verification', 'drill')}), 'done,done', 'mended');
rename "$files/$file", "$files/../away" or die;
is(sql("SELECT state FROM privacy_scan.drill_archive($id)"), 'MISSING', 'a file that is gone');
rename "$files/../away", "$files/$file" or die;

# A drill under way when the server dies.
sql('SET session_replication_role = replica; SELECT privacy_scan.drop_retention(\'"Scan"\'); DROP TABLE "Scan", "Evidence" CASCADE');
make_family();
sql(q{INSERT INTO "Evidence" SELECT s.id || '+' || k, s.id, s.at, repeat(md5(k::text), 10) FROM "Scan" s, generate_series(1, 100) k WHERE s.id < 700 AND s.id % 10 <> 0;
	VACUUM "Evidence"; SELECT privacy_scan.set_retention('"Scan"', '365 days', 'at', archive_schema => 'big'); CALL privacy_scan.run_retention('"Scan"', confirm => true)});
$id = sql(q{SELECT id FROM privacy_scan.archives WHERE leaf ~ '^"big"[.]"Evidence_1"'});
my $size = sql('SELECT pg_database_size(current_database())');
my $waits = q{SELECT count(*) > 0 FROM pg_locks WHERE relation = 'privacy_scan.archive_drill_log'::regclass AND mode};
my $holder = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'LOCK TABLE privacy_scan.archive_drill_log IN EXCLUSIVE MODE; SELECT pg_sleep(180)' ],
	'<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
$node->poll_query_until('postgres', "$waits = 'ExclusiveLock'") or die 'no lock';
kill_during("SELECT privacy_scan.drill_archive($id)", "$waits = 'RowExclusiveLock'"); # all is done but for its note
$holder->finish;
is(sql(q{SELECT count(*) FROM pg_class WHERE relname ~ 'drill_[0-9]'}), 0, 'nothing of the scratch table is there');
cmp_ok(sql('SELECT pg_database_size(current_database())') - $size, '<', 5_000_000, 'nor of its space');
is(sql("SELECT state FROM privacy_scan.drill_archive($id)"), 'ok', 'the next drill works');

# Detached, the server dying on the way: every row is once in the live relation, in the archive, or in a leaf that stands alone.
sub everything
{
	my $alone = sql(q{SELECT coalesce(string_agg(format(' UNION ALL SELECT id FROM %s', d.leaf), ''), '') FROM privacy_scan.detached_leaves d
		WHERE NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = d.leaf::regclass) AND leaf ~ 'Evidence'});
	my $archive = sql(q{SELECT to_regclass('public_gone."Evidence_archive"') IS NOT NULL}) eq 't' ? 'UNION ALL SELECT id FROM public_gone."Evidence_archive"' : '';
	return sql(qq{SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM "Evidence" $archive $alone) e});
}
sub orphans { return sql('SELECT count(*) FROM "Evidence" e WHERE NOT EXISTS (SELECT FROM "Scan" s WHERE s.id = e.scan)') }
sub settle
{
	my ($statement, $most) = @_;
	for my $wait (map { int rand $most } 1 .. 2)
	{
		kill_during($statement, \$wait);
		is(everything() =~ /^(\d+)\|\1$/, 1, "killed after $wait ms: no row twice");
		is(orphans(), 0, 'no orphan');
		is(sql('SELECT count(*) FROM privacy_scan.check_archives() WHERE archive ~ \'gone\''), 0, 'the ledger is right');
	}
	return sql($statement);
}
sql('SELECT privacy_scan.drop_retention(\'"Scan"\'); DROP TABLE "Scan", "Evidence" CASCADE');
make_family();
my $all = everything();
sql(q{SELECT privacy_scan.set_retention('"Scan"', '365 days', 'at', archive => 'detach', grace => '1 day', archive_schema => 'public_gone')});
my $run = q{CALL privacy_scan.run_retention('"Scan"', confirm => true, max_rows => 300)};
settle($run, 300);
is(everything(), $all, 'every row is there once');
is(sql(q{SELECT count(*) FROM privacy_scan.detached_leaves WHERE leaf ~ 'Evidence_[12]"'}), 2, 'two leaves stand alone');

# Their time has come, and the server dies again.
sql(q{UPDATE privacy_scan.detached_tables SET detached_at = detached_at - interval '2 days'});
settle($run, 150);
is(sql('SELECT count(*) FROM privacy_scan.detached_leaves'), 0, 'all have gone');
is(sql(q{SELECT count(*) FROM "Evidence"}), 20010, 'what has not expired stays');
is(sql(q{SELECT sum(CASE action WHEN 'archive' THEN rows ELSE -rows END) FROM privacy_scan.archives WHERE archive ~ 'gone'}), 0, 'and the ledger knows');
is(sql(q{SELECT count(*) FROM pg_class c JOIN pg_inherits ON inhrelid = c.oid WHERE relnamespace = 'public_gone'::regnamespace AND relpages > 0}), 0, 'nothing is left');

done_testing();
