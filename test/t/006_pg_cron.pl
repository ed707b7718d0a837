# The real pg_cron in the worker's place: in the database it lives in, from there in another, with the worker on, taken
# back, dumped and restored.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;

my @settings = (q{shared_preload_libraries = 'pg_cron, privacy_scan'}, q{cron.database_name = 'postgres'},
	'cron.use_background_workers = on', 'privacy_scan.worker_naptime = 1s', 'max_worker_processes = 20');
my $node = new_server('main', @settings);
my $schedule = q{SELECT status, detail, next_step FROM privacy_scan.health() WHERE component = 'schedule'};
my $store = q{
	CREATE TABLE event (id int, at timestamptz NOT NULL) PARTITION BY RANGE (at);
	SELECT count(*) FROM privacy_scan.manage_partitions('event', 'at', '1 day', premake => 1);
	CREATE TABLE scan (id int PRIMARY KEY, at timestamptz NOT NULL);
	INSERT INTO scan SELECT n, now() - n * interval '1 day' FROM generate_series(1, 800) n;
	SELECT privacy_scan.set_retention('scan', '400 days', 'at');
	INSERT INTO event SELECT n, now() + n * interval '1 day' FROM generate_series(2, 5) n;
	SELECT privacy_scan.request_job('retention scan')};

sub refuses
{
	my ($database, $call, $error, $name) = @_;
	my (undef, undef, $stderr) = $node->psql($database, $call, on_error_stop => 0);
	return like($stderr, $error, $name);
}

# What is not there cannot be used; who does not own the extension does not choose.
refuses('postgres', 'SELECT privacy_scan.use_pg_cron()', qr/not installed in this database.*CREATE EXTENSION pg_cron/s, 'no extension');
$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron; CREATE DATABASE shop; CREATE ROLE weak');
$node->safe_psql('shop', 'CREATE EXTENSION privacy_scan');
refuses('shop', 'SELECT privacy_scan.use_pg_cron()', qr/lives in the database "postgres".*use_pg_cron\(database => 'shop'\)/s,
	'another database: it says where to call');
refuses('postgres', q{SELECT privacy_scan.use_pg_cron(database => 'nowhere')}, qr/database "nowhere" does not exist/, 'no such database');
refuses('postgres', q{SELECT privacy_scan.use_pg_cron('whenever')}, qr/invalid schedule/, 'no such schedule');
refuses('postgres', q{GRANT EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan TO weak; SET ROLE weak; SELECT privacy_scan.use_pg_cron()},
	qr/must be owner/, 'not for everybody');
refuses('postgres', q{SET ROLE weak; CALL privacy_scan.run_due_jobs(runner => 'pg_cron')}, qr/must be owner/, 'nor by the procedure');
refuses('postgres', q{CALL privacy_scan.run_due_jobs(runner => 'somebody')}, qr/there is no runner/, 'no other runner');
is($node->safe_psql('postgres', 'SELECT count(*) FROM cron.job'), '0', 'nothing was scheduled');

# Handed over: the worker leaves the jobs alone from then on.
my $id = $node->safe_psql('postgres', q{SELECT privacy_scan.use_pg_cron('* * * * *')});
is($node->safe_psql('postgres', q{SELECT privacy_scan.use_pg_cron('* * * * *')}), $id, 'twice is once');
$node->safe_psql('postgres', q{SELECT privacy_scan.use_pg_cron('* * * * *', 'shop')});
is($node->safe_psql('postgres', 'SELECT jobname, database, username = current_user FROM cron.job ORDER BY jobid'),
	"privacy_scan postgres|postgres|t\nprivacy_scan shop|shop|t", 'two entries, of the role that asked for them');
is($node->safe_psql('postgres', $schedule), 'ok|pg_cron runs the jobs, from the database postgres|', 'health() says so');
my $left = q{SELECT count(*) = 1 FROM privacy_scan.workers WHERE database = '%s' AND detail = 'pg_cron runs the jobs'};
ok($node->poll_query_until('postgres', sprintf($left, 'postgres')), 'the worker sees it');
$node->safe_psql($_, $store) for ('postgres', 'shop');

my $all_done = q{SELECT count(*) = 3 AND bool_and(last_outcome = 'done') FROM privacy_scan.jobs WHERE kind IN ('partitions', 'retention', 'statistics')};
ok($node->poll_query_until($_, $all_done), "$_: all jobs ran") for ('postgres', 'shop');
ok($node->poll_query_until('postgres', q{SELECT count(DISTINCT database) = 2 FROM cron.job_run_details WHERE status = 'succeeded'}), 'pg_cron did it');
is($node->safe_psql('postgres', q{SELECT count(*) FROM privacy_scan.job_runs WHERE pid NOT IN (SELECT job_pid FROM cron.job_run_details)}), '0',
	'and the worker nothing');
ok($node->poll_query_until('postgres', sprintf($left, 'shop')), 'from pg_cron\'s first run on the worker leaves the other database alone');
is($node->safe_psql('shop', $schedule), 'ok|pg_cron runs the jobs, from the database postgres|', 'health() says so there');
for my $database ('postgres', 'shop')
{
	is($node->safe_psql($database, q{SELECT count(*) FROM event_default}), '0', "$database: DEFAULT was drained");
	is( $node->safe_psql($database, q{SELECT (SELECT count(*) BETWEEN 399 AND 401 FROM scan),
			(SELECT count(*) FROM scan) + count(*), count(*) - count(DISTINCT id) FROM public_archive.scan_archive}),
		't|800|0', "$database: scans were archived, each once");
	is( $node->safe_psql($database, q{
			SELECT count(*) FROM privacy_scan.job_runs a JOIN privacy_scan.job_runs b USING (job)
			WHERE a.id < b.id AND tstzrange(a.started_at, a.finished_at) && tstzrange(b.started_at, b.finished_at)}),
		'0', "$database: no job ran twice at once");
}

# Dumped and restored: under the same name pg_cron has it, elsewhere the worker.
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'dumped');
my $other = new_server('other', @settings);
$other->safe_psql('postgres', 'DROP EXTENSION privacy_scan');
$other->safe_psql('postgres', 'CREATE ROLE weak');
$other->command_ok([ 'pg_restore', '--exit-on-error', '-d', $other->connstr('postgres'), $dump ], 'restored');
is($other->safe_psql('postgres', $schedule), 'ok|pg_cron runs the jobs, from the database postgres|', 'restored: pg_cron runs the jobs');
ok($other->poll_query_until('postgres', sprintf($left, 'postgres')), 'and the worker leaves them alone');
$other->safe_psql('postgres', 'DELETE FROM cron.job');
is($other->safe_psql('postgres', $schedule),
	'attention|pg_cron is to run the jobs, and has no entry for this database|SELECT privacy_scan.use_pg_cron(), or SELECT privacy_scan.use_worker()',
	'an entry that is lost is seen');
$other->stop('fast');
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('shop') ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('copy'), $dump ], 'restored under another name');
my $now = $node->safe_psql('copy', q{UPDATE privacy_scan.job_states SET next_start = NULL; SELECT clock_timestamp()});
my $goes_on = q{SELECT count(*) > 0 FROM privacy_scan.jobs WHERE last_start > '%s' AND last_outcome = 'done'};
ok($node->poll_query_until('copy', sprintf($goes_on, $now)), 'there the worker runs the jobs');

# Taken back.
is($node->safe_psql('postgres', 'SELECT privacy_scan.use_worker(), (SELECT count(*) FROM cron.job)'), 't|2', 'taken back');
is($node->safe_psql('postgres', 'SELECT privacy_scan.use_worker(), (SELECT string_agg(jobname, $$,$$) FROM cron.job)'), 'f|privacy_scan shop',
	'the other entry stays');
is($node->safe_psql('postgres', q{SELECT privacy_scan.use_worker('shop')}), 't', 'until it is taken back, too');
is($node->safe_psql('shop', 'SELECT privacy_scan.use_worker()'), 't', 'in both databases');
is($node->safe_psql('postgres', 'SELECT count(*) FROM cron.job'), '0', 'pg_cron has nothing left to do');
for my $database ('postgres', 'shop')
{
	$now = $node->safe_psql($database, q{UPDATE privacy_scan.job_states SET next_start = now(); SELECT clock_timestamp()});
	ok($node->poll_query_until($database, sprintf($goes_on, $now)), "$database: the worker goes on");
}
is($node->safe_psql('postgres', $schedule), 'ok|the worker visits this database|', 'health() says so');

done_testing();
