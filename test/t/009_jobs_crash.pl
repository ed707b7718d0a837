# The process that runs a job dies in its middle: the crash is counted, the job goes on from where it was, and a job
# that kills its process each time is paused, the others going on.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;

my $node = new_server('main', 'restart_after_crash = on');
# Each row that goes passes a gate, so that a run can be caught in its middle; batches are of one row.
$node->safe_psql('postgres', q{
	CREATE TABLE scan (id int PRIMARY KEY, at timestamp);
	INSERT INTO scan SELECT i, '2020-01-01' FROM generate_series(1, 6) i;
	CREATE TABLE gates AS SELECT false AS shut;
	CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
	BEGIN
		WHILE old.id = 3 AND (SELECT shut FROM gates) LOOP PERFORM pg_sleep(0.01); END LOOP;
		RETURN old;
	END $$;
	CREATE TRIGGER gate BEFORE DELETE ON scan FOR EACH ROW EXECUTE FUNCTION gate();
	CREATE TABLE event (at timestamptz NOT NULL) PARTITION BY RANGE (at);
	SELECT count(*) FROM privacy_scan.manage_partitions('event', 'at', '1 month');
	SELECT privacy_scan.set_retention('scan', '1 year', 'at');
	SELECT privacy_scan.schedule_job('retention scan', '1 day');
	SELECT privacy_scan.schedule_job('partitions event', '1 day');
});

sub state_of
{
	my ($kind) = @_;
	return $node->safe_psql('postgres',
		"SELECT state, failures FROM privacy_scan.jobs WHERE kind = '$kind'");
}

# Starts a run of the job and kills its process, in its middle, with kill -9.
sub kill_in_the_middle
{
	my ($name) = @_;
	$node->safe_psql('postgres', q{
		UPDATE gates SET shut = true;
		UPDATE privacy_scan.job_states SET next_start = '2000-01-01' WHERE kind = 'retention'});
	my $runner = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'SET privacy_scan.retention_batch_rows = 1',
			'-c', 'CALL privacy_scan.run_due_jobs()' ],
		'>', '/dev/null', '2>', '/dev/null');
	$node->poll_query_until('postgres', q{
		SELECT state = 'running' AND (SELECT min(id) FROM scan) = 3 FROM privacy_scan.jobs WHERE kind = 'retention'})
	  or die 'the job does not come to its middle';
	my $pid = $node->safe_psql('postgres', q{SELECT pid FROM privacy_scan.job_runs WHERE outcome = 'running'});
	die 'no process' unless $pid;
	PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $pid);
	$runner->finish;
	await_recovery($node);
	like(state_of('retention'), qr/^failing/, "$name: the mark without its process shows");
	$node->safe_psql('postgres', 'UPDATE gates SET shut = false');
	return;
}

kill_in_the_middle('first crash');
is($node->safe_psql('postgres', 'SELECT count(*) FROM scan'), '4', 'what was committed stays');
is($node->safe_psql('postgres', 'SELECT count(*) FROM public_archive.scan_archive'), '2', 'in the archive');
$node->safe_psql('postgres', 'CALL privacy_scan.run_due_jobs()');
is(state_of('retention'), 'failing|1', 'the next who looks counts the crash');
is( $node->safe_psql('postgres', q{
		SELECT outcome, finished_at IS NOT NULL FROM privacy_scan.job_runs WHERE kind = 'retention'}),
	'crashed|t', 'it is in the history');
is( $node->safe_psql('postgres', q{
		SELECT next_start > now() AND next_start < now() + interval '61 seconds' FROM privacy_scan.jobs
		WHERE kind = 'retention'}),
	't', 'the job waits for a moment before its next start');

# It goes on where it was, each row exactly once.
$node->safe_psql('postgres', q{CALL privacy_scan.run_job('retention scan')});
is(state_of('retention'), 'idle|0', 'a run that comes to its end clears the count');
is( $node->safe_psql('postgres', q{
		SELECT (SELECT count(*) FROM scan), count(*), count(DISTINCT id) FROM public_archive.scan_archive}),
	'0|6|6', 'every row has gone exactly once');

# A poison job.
$node->safe_psql('postgres', q{DELETE FROM public_archive.scan_archive; INSERT INTO scan VALUES (3, '2020-01-01')});
for my $crash (1 .. 3)
{
	kill_in_the_middle("crash $crash in a row");
	$node->safe_psql('postgres', 'CALL privacy_scan.run_due_jobs()');
}
is(state_of('retention'), 'paused|3', 'the third crash in a row pauses the job');
like(
	$node->safe_psql('postgres', q{SELECT pause_reason FROM privacy_scan.jobs WHERE kind = 'retention'}),
	qr/3 crashes in a row/, 'the reason is there');
$node->safe_psql('postgres', q{UPDATE privacy_scan.job_states SET next_start = '2000-01-01'});
$node->safe_psql('postgres', 'CALL privacy_scan.run_due_jobs()');
is( $node->safe_psql('postgres', q{
		SELECT last_outcome, next_start > now() FROM privacy_scan.jobs WHERE kind = 'partitions'}),
	'done|t', 'the other jobs go on');
is(state_of('retention'), 'paused|3', 'the paused job is left alone');
$node->safe_psql('postgres', q{SELECT privacy_scan.resume_job('retention scan')});
$node->safe_psql('postgres', q{CALL privacy_scan.run_job('retention scan')});
is(state_of('retention'), 'idle|0', 'resumed, it runs');
is($node->safe_psql('postgres', 'SELECT count(*) FROM public_archive.scan_archive'), '1', 'and does its work');

# A long transaction is in the way: the job gives up in time and says whose it is.
$node->safe_psql('postgres', q{INSERT INTO scan VALUES (7, '2020-01-01')});
for my $lock ('LOCK TABLE scan IN ACCESS EXCLUSIVE MODE', 'LOCK TABLE scan IN SHARE MODE', 'ALTER TABLE scan ADD COLUMN note text')
{
	my ($out, $err) = ('', '');
	my $holder = IPC::Run::start([ 'env', 'PGAPPNAME=holder', 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "BEGIN; $lock; SELECT pg_sleep(600)" ], '>', \$out, '2>', \$err);
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'holder' AND wait_event = 'PgSleep'}) or die 'no holder';
	my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE application_name = 'holder'});
	my ($status, undef, $error) = $node->psql('postgres', qq{SET privacy_scan.lock_timeout = '50ms';\nSET privacy_scan.lock_attempts = 3;\nCALL privacy_scan.run_job('retention scan')});
	like($error, qr/lock timeout \(held by pid $pid\)/, "$lock: the call says who is in the way");
	is( $node->safe_psql('postgres', q{SELECT outcome, sqlstate, message ~ 'held by pid \d+', finished_at - started_at < '10 seconds', lock_wait_ms >= 50 FROM privacy_scan.job_runs
			WHERE kind = 'retention' ORDER BY id DESC LIMIT 1}),
		'failed|55P03|t|t|t', 'so does the history, and how long it waited: it gave up in time');
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	$holder->finish;
}
$node->safe_psql('postgres', q{CALL privacy_scan.run_job('retention scan')});
is(state_of('retention'), 'idle|0', 'once it is gone the job goes on');

# A restart loses nothing that was scheduled; a start mark is not taken along to another server.
my $before = $node->safe_psql('postgres', 'SELECT job, next_start FROM privacy_scan.jobs ORDER BY 1');
$node->restart;
is($node->safe_psql('postgres', 'SELECT job, next_start FROM privacy_scan.jobs ORDER BY 1'), $before,
	'next starts survive a restart');
$node->safe_psql('postgres', q{
	SELECT privacy_scan.schedule_job('retention scan', '1 day', '04:00', 'Europe/Berlin', 'sun', '5 minutes', '1 hour');
	SELECT privacy_scan.pause_job('partitions event', 'a migration');
	UPDATE privacy_scan.job_states SET run = 1 WHERE kind = 'retention'});
$node->safe_psql('postgres', 'CREATE DATABASE copy');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'dumped');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('copy'), $dump ], 'restored');
my $jobs = q{SELECT job, schedule, pause_reason FROM privacy_scan.jobs ORDER BY 1};
is($node->safe_psql('copy', $jobs), $node->safe_psql('postgres', $jobs), 'schedules and pauses survive dump and restore');
is($node->safe_psql('copy', q{SELECT state FROM privacy_scan.jobs WHERE kind = 'retention'}), 'idle',
	'a start mark does not');
is( $node->safe_psql('copy', 'SELECT count(*) FROM privacy_scan.job_runs'),
	$node->safe_psql('postgres', 'SELECT count(*) FROM privacy_scan.job_runs'),
	'the history is there');

done_testing();
