# The worker runs what is due by itself, and nothing that happens to a database or to the server stops it for long:
# hostile settings, a job that always fails, DROP DATABASE, a standby and its promotion. 018 kills it, 019 takes the extension away.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;
use Time::HiRes qw(usleep);

take_seed();

my $node = new_server('main', q{shared_preload_libraries = 'privacy_scan'}, 'privacy_scan.worker_naptime = 1s',
	'restart_after_crash = on', 'max_worker_processes = 12', 'wal_level = replica', 'hot_standby = on',
	'log_statement = none');

sub waits_for
{
	my ($server, $database, $query, $name) = @_;
	return ok($server->poll_query_until($database, $query), $name);
}

# A relation of each kind in a database; the jobs are due each second.
sub make_jobs
{
	my ($database) = @_;
	$node->safe_psql($database, q{
		CREATE TABLE event (id int, at timestamptz NOT NULL) PARTITION BY RANGE (at);
		SELECT count(*) FROM privacy_scan.manage_partitions('event', 'at', '1 day');
		CREATE TABLE scan (id int PRIMARY KEY, at timestamptz NOT NULL);
		SELECT privacy_scan.set_retention('scan', '1 year', 'at');
		SELECT privacy_scan.schedule_job('partitions event', '1 second');
		SELECT privacy_scan.schedule_job('retention scan', '1 second')});
	return;
}

my $ran_since = q{SELECT count(*) = 2 FROM privacy_scan.jobs WHERE last_outcome = 'done' AND last_start > '%s'
	AND object IN (to_regclass('event'), to_regclass('scan'))};

sub goes_on
{
	my ($server, $database, $name) = @_;
	my $now = $server->safe_psql($database, 'SELECT clock_timestamp()');
	return waits_for($server, $database, sprintf($ran_since, $now), "$name: the jobs go on");
}

make_jobs('postgres');
goes_on($node, 'postgres', 'at first');
is($node->safe_psql('postgres', q{SELECT status, detail FROM privacy_scan.health() WHERE component = 'schedule'}),
	'ok|the worker visits this database', 'health() says so');
is($node->safe_psql('postgres', q{SELECT state, detail FROM privacy_scan.workers WHERE kind = 'launcher'}), 'running|',
	'the launcher is there');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'privacy_scan launcher'
	AND (datid IS NOT NULL OR backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)}), '0',
	'it is connected to no database and keeps no snapshot');

# A request is answered.
my $id = $node->safe_psql('postgres', q{SELECT privacy_scan.request_job('retention scan')});
waits_for($node, 'postgres', "SELECT outcome = 'done' FROM privacy_scan.job_runs WHERE id = $id", 'a request is answered');

# Hostile settings of the database and of the role that the worker is.
$node->safe_psql('postgres', q{
	CREATE ROLE weak;
	ALTER DATABASE postgres SET search_path = 'nowhere';
	ALTER DATABASE postgres SET default_transaction_isolation = 'serializable';
	ALTER DATABASE postgres SET default_transaction_read_only = on;
	ALTER DATABASE postgres SET statement_timeout = '1ms';
	ALTER DATABASE postgres SET lock_timeout = '1ms';
	ALTER DATABASE postgres SET exit_on_error = on;
	ALTER ROLE ALL SET role = 'weak'});
{
	local $ENV{PGOPTIONS} = '-c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0 -c role=none -c search_path=public';
	goes_on($node, 'postgres', 'hostile settings');
	$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET ALL; ALTER ROLE ALL RESET ALL; DROP ROLE weak');
}

# A job that always fails keeps no other from its turn.
$node->safe_psql('postgres', q{
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
	CREATE TRIGGER refuse BEFORE DELETE ON scan FOR EACH ROW EXECUTE FUNCTION refuse();
	INSERT INTO scan VALUES (1, '2020-01-01')});
waits_for($node, 'postgres', q{SELECT state = 'failing' AND sqlstate = 'P0001' FROM privacy_scan.jobs WHERE kind = 'retention'},
	'a poison job fails');
my $poisoned = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
waits_for($node, 'postgres', qq{SELECT last_outcome = 'done' AND last_start > '$poisoned' FROM privacy_scan.jobs WHERE kind = 'partitions'},
	'the other goes on');
$node->safe_psql('postgres', q{
	DROP TRIGGER refuse ON scan;
	SELECT privacy_scan.schedule_job('retention scan', '1 second')});
goes_on($node, 'postgres', 'cured');

# Databases come and go.
$node->safe_psql('postgres', 'CREATE DATABASE other');
waits_for($node, 'postgres', q{SELECT detail = 'the extension is not there' FROM privacy_scan.workers WHERE database = 'other'},
	'a database without the extension is seen');
for my $round (1 .. 3)
{
	$node->safe_psql('postgres', q{DROP DATABASE other; CREATE DATABASE other TEMPLATE template1; ALTER DATABASE other RENAME TO another;
		ALTER DATABASE another RENAME TO other});
	pass("round $round: dropped, created and renamed under the worker");
	usleep(rand(500_000));
}
$node->safe_psql('postgres', 'DROP DATABASE other');
waits_for($node, 'postgres', q{SELECT count(*) = 0 FROM privacy_scan.workers WHERE database = 'other' OR database IS NULL AND kind = 'database'},
	'a database that is gone is forgotten');

# A standby starts no launcher; promoted, it works.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'privacy_scan'}), '0',
	'nothing runs on a standby');
is($standby->safe_psql('postgres', q{SELECT state FROM privacy_scan.workers WHERE kind = 'launcher'}), 'not running',
	'and the view says so');
$node->stop('fast');
$standby->promote;
my $promoted = time;
goes_on($standby, 'postgres', 'promoted');
cmp_ok(time - $promoted, '<=', 10, 'within ten seconds');

# Fast shutdown.
my $begun = Time::HiRes::time();
$standby->stop('fast');
cmp_ok(Time::HiRes::time() - $begun, '<', 10, 'and it keeps no server from shutting down');
unlike(PostgreSQL::Test::Utils::slurp_file($standby->logfile), qr/exit code [2-9]|PANIC|TRAP/, 'no process ended with another code');

done_testing();
