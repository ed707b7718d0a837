# kill -9, terminate and cancel of the launcher and of the worker, at random moments, while an application writes and a
# minute passes with each: partitions of one minute are made and drained, families of rows expire. Every acknowledged family
# is there afterwards exactly once, live or archived, no row lacks its root, and the jobs come to their end.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;
use Time::HiRes qw(usleep);

my $moments = $ENV{PS_MOMENTS} // 50; # scripts/kills takes more
take_seed();

my $node = new_server('main', q{shared_preload_libraries = 'privacy_scan'}, 'privacy_scan.worker_naptime = 1s',
	'restart_after_crash = on', 'max_worker_processes = 12', 'fsync = off', 'log_statement = none',
	'privacy_scan.retention_batch_rows = 200', 'privacy_scan.retention_whole_rows = 200');

# The clock of the application is the one that jobs go by.
$node->safe_psql('postgres', q{
	CREATE TABLE scan (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL);
	CREATE INDEX ON scan (at);
	CREATE TABLE event (id bigint GENERATED ALWAYS AS IDENTITY, scan_id bigint NOT NULL REFERENCES scan, at timestamptz NOT NULL,
		PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
	CREATE INDEX ON event (scan_id);
	CREATE FUNCTION clock() RETURNS timestamptz LANGUAGE sql AS
		$$ SELECT clock_timestamp() + current_setting('privacy_scan.clock_offset')::interval $$;
	SELECT count(*) FROM privacy_scan.manage_partitions('event', 'at', '1 minute', premake => 3);
	SELECT privacy_scan.set_retention('scan', '3 minutes', 'at');
	SELECT privacy_scan.schedule_job(job, '1 second') FROM privacy_scan.jobs});

# A writer that prints the id of each scan that was acknowledged; it ends with the server, and another takes over.
my $dir = PostgreSQL::Test::Utils::tempdir();
PostgreSQL::Test::Utils::append_to_file("$dir/write.sql", q{
	WITH s AS (INSERT INTO scan (at) VALUES (clock()) RETURNING id, at), e AS (INSERT INTO event (scan_id, at)
		SELECT id, at + (random() * 10 - 2) * interval '1 minute' FROM s, generate_series(1, 3)) SELECT id FROM s;
	SELECT pg_sleep(0.003);
} x 20000);
my ($writer, @outputs);

sub keep_writing
{
	return if $writer && $writer->pumpable;
	$writer->finish if $writer;
	push @outputs, "$dir/out." . @outputs;
	$writer = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', "$dir/write.sql" ], '>', $outputs[-1], '2>', '/dev/null');
	return;
}

# Lets minutes pass. What failed or crashed need not wait for its next start here.
my $offset = 0;

sub minutes_pass
{
	my ($minutes) = @_;
	$offset += 60 * $minutes;
	return qq{
		ALTER SYSTEM SET privacy_scan.clock_offset = '${offset}s';
		SELECT FROM pg_reload_conf();
		UPDATE privacy_scan.job_states SET next_start = now(), failures = 0, crashes = 0 WHERE run IS NULL;
	};
}

# The process of the launcher, or of a worker that has begun with a job.
sub find_process
{
	my ($what) = @_;
	return qq{
		CREATE TEMP TABLE found (pid int);
		DO \$\$
		BEGIN
			FOR i IN 1 .. 5000 LOOP
				INSERT INTO found SELECT pid FROM pg_stat_get_activity(NULL)
					WHERE backend_type = 'privacy_scan $what' AND (backend_type ~ 'launcher' OR query ~ ': (part|ret|stat)') LIMIT 1;
				EXIT WHEN FOUND;
				PERFORM pg_stat_clear_snapshot(), pg_sleep(0.002);
			END LOOP;
		END \$\$;
		SELECT pid FROM found};
}

my %signals = (launcher => ['KILL'], worker => [ 'KILL', 'KILL', 'TERM', 'INT' ]);
my %sent;
my $begun = Time::HiRes::time();
for my $moment (1 .. $moments)
{
	keep_writing();
	my $what = $moment % 5 ? 'worker' : 'launcher';
	# A launcher that ends in order is started again after ten seconds: once, at the end.
	my $signal = $moment == $moments ? 'TERM' : $signals{$what}[ rand @{ $signals{$what} } ];
	my $pid = $node->safe_psql('postgres', minutes_pass(1) . find_process($what)) or die "no $what";
	usleep(rand(60_000));
	# It may have ended by itself meanwhile.
	$sent{"$signal $what"}++ if kill($signal, $pid);
	next if $signal ne 'KILL';
	$node->poll_query_until('postgres', 'SELECT true') or die 'the server does not come back';
}
note(sprintf('%d moments in %.1f s: %s', $moments, Time::HiRes::time() - $begun, join(', ', map { "$sent{$_} $_" } sort keys %sent)));
cmp_ok(scalar(keys %sent), '>=', 3, 'signals were sent');
$writer->kill_kill;
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'psql' AND pid <> pg_backend_pid()});

# Nobody disturbs it any more, and time passes until all has expired.
ok( $node->poll_query_until('postgres', q{
		WITH hurry AS (UPDATE privacy_scan.job_states SET next_start = now() WHERE run IS NULL AND next_start > clock() + interval '2 seconds')
		SELECT count(*) = 0 FROM event_default WHERE at < clock()}),
	'strays are drained');
$node->safe_psql('postgres', minutes_pass(20));
# Without anything new, retention takes the clock to be wrong.
my $newest = $node->safe_psql('postgres', q{
	INSERT INTO scan (at) VALUES (clock());
	WITH hurry AS (UPDATE privacy_scan.job_states SET next_start = now(), failures = 0 WHERE run IS NULL)
	SELECT max(id) FROM scan});
ok($node->poll_query_until('postgres', qq{SELECT count(*) = 0 FROM scan FULL JOIN event ON event.scan_id = scan.id WHERE scan.id <> $newest}),
	'all that has expired goes');
ok( $node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM privacy_scan.jobs WHERE last_outcome <> 'done'}),
	'every job comes to its end')
  or diag($node->safe_psql('postgres', 'SELECT * FROM privacy_scan.jobs'));

my %archived;
$archived{$_}++ for split /\n/, $node->safe_psql('postgres', 'SELECT id FROM public_archive.scan_archive');
my @acknowledged = map { grep { /^\d+$/ } split /\n/, slurp_file($_) } @outputs;
cmp_ok(scalar(@acknowledged), '>', 5 * $moments, 'the application wrote');
is(join(' ', grep { !$archived{$_} } @acknowledged), '', 'nothing is lost (of ' . @acknowledged . ' families)');
is(join(' ', grep { $archived{$_} > 1 } keys %archived), '', 'nothing is doubled');
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM (SELECT scan_id FROM public_archive.event_archive GROUP BY 1 HAVING count(*) <> 3 OR count(DISTINCT id) <> 3) AS broken}),
	'0', 'each family is whole');
is( $node->safe_psql('postgres', q{SELECT count(DISTINCT scan_id) = (SELECT count(*) FROM public_archive.scan_archive) FROM public_archive.event_archive}),
	't', 'no root without its rows');
is( $node->safe_psql('postgres', q{
		SELECT (SELECT sum(rows) FROM privacy_scan.archives WHERE relation = '"public"."scan"') = (SELECT count(*) FROM public_archive.scan_archive),
			(SELECT sum(rows) FROM privacy_scan.archives WHERE relation = '"public"."event"') = (SELECT count(*) FROM public_archive.event_archive)}),
	't|t', 'the ledger says the same');
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM (SELECT lower_at, lag(upper_at) OVER (ORDER BY lower_at) AS before FROM privacy_scan.partitions
			WHERE parent = 'event'::regclass AND state <> 'default') AS minutes WHERE before > lower_at}),
	'0', 'no minute is there twice');
my $log = slurp_file($node->logfile);
unlike($log, qr/PANIC|TRAP|exit code [2-9]|terminated by signal (?!9)/, 'no process died of anything else');
cmp_ok(scalar(() = $log =~ /deadlock detected/g), '==', 0, 'and nobody met a deadlock');

done_testing();
