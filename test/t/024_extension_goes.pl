# The extension and its databases are taken away from under the worker: DROP EXTENSION, ALTER EXTENSION UPDATE, an older
# version, objects that are missing, DROP DATABASE, also WITH (FORCE), CREATE DATABASE .. TEMPLATE, RENAME, shutdown. The
# operator never meets an error that isn't theirs, and the log stays quiet.

use strict;
use warnings;
use File::Copy;
use File::Path qw(make_path);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;
use Time::HiRes qw(usleep);

my $rounds = 3;
take_seed();

my $node = new_server('main', q{shared_preload_libraries = 'privacy_scan'}, 'privacy_scan.worker_naptime = 1s', 'fsync = off',
	'max_worker_processes = 12', 'log_statement = none', 'deadlock_timeout = 100ms', q{log_line_prefix = '%n %b '});

# Work for a second at each visit.
my $make = q{
	CREATE EXTENSION IF NOT EXISTS privacy_scan;
	TRUNCATE scan;
	INSERT INTO scan SELECT i, '2020-01-01' FROM generate_series(1, 10000) i;
	SELECT count(*) FROM generate_series(1, 10) i, LATERAL privacy_scan.manage_partitions(format('event%s', i)::regclass, 'at', '1 day');
	SELECT privacy_scan.set_retention('scan', '1 year', 'at');
	SELECT FROM privacy_scan.apply_retention('scan', now(), 1, false); -- the first run would ask
	SELECT privacy_scan.schedule_job(job, '1 second') FROM privacy_scan.jobs;
	UPDATE privacy_scan.job_states SET next_start = now() - interval '1 second'};
$node->safe_psql('postgres', q{
	CREATE TABLE scan (id int PRIMARY KEY, at timestamptz NOT NULL);
	DO $$ BEGIN FOR i IN 1 .. 10 LOOP EXECUTE format('CREATE TABLE event%s (at timestamptz NOT NULL) PARTITION BY RANGE (at)', i); END LOOP; END $$;
	ALTER SYSTEM SET privacy_scan.retention_batch_rows = 500;
	SELECT pg_reload_conf()});

# The launcher comes back a minute after a visit that found nothing to serve, or failed.
my $minutes = 0;

sub minutes_pass
{
	$minutes += shift;
	$node->safe_psql('postgres', "ALTER SYSTEM SET privacy_scan.clock_offset = '${minutes}min'");
	$node->reload;
	return;
}

sub wait_for_work
{
	my ($database) = @_;
	$node->poll_query_until('postgres', qq{SELECT count(*) > 0 FROM pg_stat_activity
		WHERE backend_type = 'privacy_scan worker' AND datname = '$database' AND query ~ ': (part|ret|stat)'}) or die "no work in $database";
	usleep(rand(100_000));
	return;
}

# The log since then, without what is said at the start and the end of a server, and what was asked for.
my $seen = -s $node->logfile;

sub quiet
{
	my ($name) = @_;
	my @lines = grep { /ERROR|FATAL|WARNING|exit code|signal/ } split /\n/, slurp_file($node->logfile, $seen);
	$seen = -s $node->logfile;
	return is(join("\n", @lines), '', "$name: the log stays quiet");
}

for my $round (1 .. $rounds)
{
	$node->safe_psql('postgres', $make);
	wait_for_work('postgres');
	my ($status, undef, $error) = $node->psql('postgres', q{SET client_min_messages = warning; DROP EXTENSION privacy_scan CASCADE; DROP SCHEMA IF EXISTS public_archive CASCADE});
	is("$status|$error", '0|', "round $round: DROP EXTENSION under a job");
}
quiet('DROP EXTENSION');

# ALTER EXTENSION UPDATE to a version that the library doesn't know, and back, as its scripts begin and with what they may do.
# The server is told to look for them elsewhere, since the installed ones are not ours to change.
SKIP:
{
	skip 'no extension_destdir', 3 * $rounds + 1
	  if $node->safe_psql('postgres', q{SELECT count(*) FROM pg_settings WHERE name = 'extension_destdir'}) eq '0';
	$node->safe_psql('postgres', $make);
	my $version = $node->safe_psql('postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'privacy_scan'});
	my $elsewhere = PostgreSQL::Test::Utils::tempdir();
	my $share = $node->config_data('--sharedir') . '/extension';
	make_path("$elsewhere$share");
	copy($_, "$elsewhere$share") or die for glob("$share/privacy_scan.control $share/privacy_scan--*.sql");
	for my $script ([ "$version--next", 'ADD COLUMN more int' ], [ "next--$version", 'DROP COLUMN more' ])
	{
		my ($versions, $change) = @$script;
		append_to_file("$elsewhere$share/privacy_scan--$versions.sql", join "\n", q{COMMENT ON EXTENSION privacy_scan IS 'updated';},
			map { "ALTER TABLE privacy_scan.$_ $change;" } qw(job_run_log partition_policies job_states retention_rules));
	}
	for my $round (1 .. $rounds)
	{
		$node->safe_psql('postgres', q{
			INSERT INTO scan SELECT i, '2020-01-01' FROM generate_series(1, 10000) i ON CONFLICT DO NOTHING;
			UPDATE privacy_scan.job_states SET next_start = now() WHERE run IS NULL});
		wait_for_work('postgres');
		my ($status, undef, $error) = $node->psql('postgres', "SET extension_destdir = '$elsewhere'; ALTER EXTENSION privacy_scan UPDATE TO 'next'");
		is("$status|$error", '0|', "round $round: ALTER EXTENSION UPDATE under a job");
		ok($node->poll_query_until('postgres', q{SELECT detail ~ 'another version' FROM privacy_scan.workers WHERE database = 'postgres'}),
			"round $round: the worker sees that it is not its own");
		$node->safe_psql('postgres', "SET extension_destdir = '$elsewhere'; ALTER EXTENSION privacy_scan UPDATE TO '$version'");
		minutes_pass(1);
		ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM scan}), "round $round: and goes on once it is again");
	}
	quiet('ALTER EXTENSION UPDATE');
}

# A call of a session is ended in the same way, and says why.
my ($out, $err) = ('', '');
$node->safe_psql('postgres', q{ALTER SYSTEM SET privacy_scan.databases = ''; SELECT pg_reload_conf()});
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM privacy_scan.workers WHERE kind = 'database'}) or die 'the worker does not let go';
$node->safe_psql('postgres', q{TRUNCATE scan; INSERT INTO scan SELECT i, '2020-01-01' FROM generate_series(1, 50000) i});
my $call = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-v', 'VERBOSITY=verbose', '-c', q{CALL privacy_scan.run_retention('scan')} ], '>', \$out, '2>', \$err);
$node->poll_query_until('postgres', q{SELECT count(*) < 50000 FROM scan}) or die 'no batch';
$node->safe_psql('postgres', q{SET client_min_messages = warning; DROP EXTENSION privacy_scan CASCADE; DROP SCHEMA public_archive CASCADE});
$call->finish;
like($err, qr/ERROR:  42704: extension "privacy_scan" was dropped or updated meanwhile/, 'a procedure says why it ends');

# Another version than the library's.
$node->safe_psql('postgres', $make);
$node->safe_psql('postgres', q{UPDATE pg_extension SET extversion = '0.0.1' WHERE extname = 'privacy_scan'; ALTER SYSTEM RESET privacy_scan.databases; SELECT pg_reload_conf()});
$seen = -s $node->logfile;
ok($node->poll_query_until('postgres', q{SELECT detail ~ 'another version' FROM privacy_scan.workers WHERE database = 'postgres'}), 'an older version: workers says so');
is($node->safe_psql('postgres', q{SELECT status, next_step FROM privacy_scan.health() WHERE component = 'schedule'}), 'attention|SELECT * FROM privacy_scan.workers', 'and health()');
is($node->safe_psql('postgres', q{SELECT next_start > last_start + interval '50 seconds' FROM privacy_scan.workers WHERE database = 'postgres'}), 't', 'the next look is a minute later');
quiet('an older version');

# Objects that are missing, in another database: one error in the log, then a minute's rest.
$node->safe_psql('postgres', 'CREATE DATABASE broken');
$node->safe_psql('broken', q{CREATE EXTENSION privacy_scan; ALTER TABLE privacy_scan.job_schedules RENAME TO gone});
ok($node->poll_query_until('broken', q{SELECT detail ~ 'ended with an error' FROM privacy_scan.workers WHERE database = 'broken'}), 'a table is missing: workers says so');
is($node->safe_psql('broken', q{SELECT status FROM privacy_scan.health() WHERE component = 'schedule'}), 'attention', 'and health()');
is($node->safe_psql('broken', q{SELECT next_start > last_start + interval '50 seconds' FROM privacy_scan.workers WHERE database = 'broken'}), 't', 'the next look is a minute later');
my $errors = () = slurp_file($node->logfile, $seen) =~ /ERROR:  relation "privacy_scan.job_schedules" does not exist/g;
is($errors, 1, 'one line in the log');

# Mended, and a minute later: the worker goes on by itself.
$node->safe_psql('broken', q{ALTER TABLE privacy_scan.gone RENAME TO job_schedules});
minutes_pass(1);
ok($node->poll_query_until('broken', q{SELECT status = 'ok' FROM privacy_scan.health() WHERE component = 'schedule'}), 'mended: it goes on a minute later');

# A launcher that does not move while the clock goes on, until it does again.
my $launcher = $node->safe_psql('postgres', q{SELECT pid FROM privacy_scan.workers WHERE kind = 'launcher'});
kill 'STOP', $launcher;
minutes_pass(2);
ok($node->poll_query_until('broken', q{SELECT status = 'attention' AND detail ~ 'has not moved for more than a minute' FROM privacy_scan.health() WHERE component = 'schedule'}),
	'a launcher that is stuck: health() says so');
is($node->safe_psql('broken', qq{SELECT last_tick < now() + interval '$minutes minutes' - interval '1 minute' FROM privacy_scan.workers WHERE kind = 'launcher'}), 't', 'and workers');
kill 'CONT', $launcher;
ok($node->poll_query_until('broken', q{SELECT status = 'ok' FROM privacy_scan.health() WHERE component = 'schedule'}), 'it moves again');

# The clock goes back.
my $back = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
minutes_pass(-$minutes);
ok($node->poll_query_until('postgres', qq{SELECT last_start BETWEEN '$back' AND now() FROM privacy_scan.workers WHERE database = 'postgres'}),
	'where the clock goes back, nobody waits until it is as late again');

# Databases under the worker: copied, renamed, dropped.
$node->safe_psql('postgres', 'DROP DATABASE broken; CREATE DATABASE busy');
make_gated_job($node, 'busy');
$node->poll_query_until('busy', q{SELECT last_outcome = 'done' FROM privacy_scan.jobs WHERE kind = 'retention'})
  or die "no run\n" . join("\n", map { $node->safe_psql('busy', $_) } 'TABLE privacy_scan.jobs', 'TABLE privacy_scan.workers', 'TABLE privacy_scan.job_schedules',
	q{SELECT pid, datname, backend_type, state, wait_event, query FROM pg_stat_activity}) . "\n" . substr(slurp_file($node->logfile), -4000);
for my $sql ('CREATE DATABASE copy TEMPLATE busy', 'ALTER DATABASE busy RENAME TO other', 'ALTER DATABASE other RENAME TO busy')
{
	my $begun = Time::HiRes::time();
	my ($status, undef, $error) = $node->psql('postgres', $sql);
	is("$status|$error", '0|', "$sql between jobs");
	cmp_ok(Time::HiRes::time() - $begun, '<', 5, 'within five seconds');
}

# A job of the database is at work, and stays at it.
sub shut
{
	my ($database) = @_;
	$node->safe_psql($database, q{UPDATE gates SET shut = true; INSERT INTO scan VALUES (1, '2020-01-01') ON CONFLICT DO NOTHING});
	$node->poll_query_until('postgres', qq{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = '$database' AND query ~ 'privacy_scan: retention public.scan' AND backend_xid IS NOT NULL})
	  or die "no job at work in $database";
	return;
}

shut('copy');
my ($status, undef, $error) = $node->psql('postgres', 'DROP DATABASE copy');
like($error, qr/is being accessed by other users/, 'DROP DATABASE under a job waits, and then says so');
my $begun = Time::HiRes::time();
($status, undef, $error) = $node->psql('postgres', 'DROP DATABASE copy WITH (FORCE)');
is("$status|$error", '0|', 'WITH (FORCE) ends the job');
cmp_ok(Time::HiRes::time() - $begun, '<', 5, 'within five seconds');

# Shutdown under a job: from the request to the moment when all but the checkpointer have ended.
shut('busy');
$seen = -s $node->logfile;
$node->stop('fast');
my ($request, $end) = slurp_file($node->logfile, $seen) =~ /^(\d+\.\d+) .*received fast shutdown request.*^(\d+\.\d+) .*shutting down$/ms;
cmp_ok($end - $request, '<', 1, 'a fast shutdown waits less than a second for a job that is at work');
unlike(slurp_file($node->logfile, $seen), qr/exit code [2-9]|PANIC|TRAP|signal/, 'no process ended with another code');

# What was cancelled is written down, and starts again.
$node->start;
is($node->safe_psql('busy', q{SELECT outcome, message ~ 'cancel' FROM privacy_scan.job_runs WHERE kind = 'retention' ORDER BY id DESC LIMIT 1}), 'cancelled|t', 'the run was written down as cancelled');

done_testing();
