# Which databases the worker visits, how many at once, and what is seen in SQL where it cannot: too few slots, a
# launcher that is gone.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;

# Room for the launcher and two visits.
my $node = new_server('main', q{shared_preload_libraries = 'privacy_scan'}, 'privacy_scan.worker_naptime = 1s',
	q{privacy_scan.databases = 'a'}, 'privacy_scan.worker_max = 1', 'max_worker_processes = 3',
	'max_logical_replication_workers = 0', 'max_parallel_workers = 0');

my @databases = ('a', 'b', 'Shop 1');
for my $database (@databases)
{
	$node->safe_psql('postgres', qq{CREATE DATABASE "$database"});
	make_gated_job($node, $database);
}

sub set
{
	my ($name, $value) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET $name = $value");
	$node->reload;
	return;
}

sub goes_on
{
	my ($database, $name) = @_;
	my $now = $node->safe_psql($database, 'SELECT clock_timestamp()');
	return ok($node->poll_query_until($database,
			"SELECT last_start > '$now' AND last_outcome = 'done' FROM privacy_scan.jobs WHERE kind = 'retention'"), $name);
}

# A job of the database is at work until the gate is opened.
sub shut
{
	my ($database) = @_;
	$node->safe_psql($database, q{UPDATE gates SET shut = true; INSERT INTO scan VALUES (1, '2020-01-01')});
	$node->poll_query_until($database, q{SELECT count(*) = 1 FROM privacy_scan.progress WHERE job ~ 'retention' AND phase = 'archiving rows'})
	  or die "no job at work in $database";
	return;
}

sub open_gate
{
	my ($database) = @_;
	return $node->safe_psql($database, 'UPDATE gates SET shut = false');
}

sub schedule
{
	my ($database) = @_;
	return $node->safe_psql($database, q{SELECT status, detail FROM privacy_scan.health() WHERE component = 'schedule'});
}

# Only what is named, and what is named anew from a reload on.
goes_on('a', 'the database that is named is served');
is($node->safe_psql('postgres', q{SELECT string_agg(database, ',') FROM privacy_scan.workers WHERE kind = 'database'}), 'a', 'no other');
is(schedule('b'), 'manual|the worker does not visit this database', 'which health() says there');
set('privacy_scan.databases', q{'a, b, "Shop 1"'});
goes_on($_, "$_ is served") for @databases;

# What is no list of names is refused where it is said, and otherwise changes nothing.
for my $list ('a,,b', 'a, "b', 'a b', '"";', ',')
{
	my (undef, undef, $error) = $node->psql('postgres', "ALTER SYSTEM SET privacy_scan.databases TO '$list'");
	like($error, qr/invalid value for parameter "privacy_scan.databases"/, "refused: $list");
}
my $named = $node->safe_psql('postgres', 'SHOW privacy_scan.databases');
$node->append_conf('postgresql.auto.conf', q{privacy_scan.databases = 'a, "b'});
$node->reload;
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_file_settings WHERE name = 'privacy_scan.databases' AND NOT applied AND error IS NOT NULL}), 'in a file it is passed over');
is($node->safe_psql('postgres', 'SHOW privacy_scan.databases'), $named, 'and nothing changes');
# Names that nobody has, one of them no name that anybody can have, and one twice.
my $long = 'x' x 200;
set('privacy_scan.databases', qq{'a, nobody, "a; DROP DATABASE b", "*""", $long, a, b, "Shop 1"'});
goes_on($_, "$_ is served still") for @databases;
is($node->safe_psql('postgres', q{SELECT count(*) FROM privacy_scan.workers WHERE kind = 'database'}), '3', 'no other');

# One at once, as worker_max says: who waits is seen, and a reload lets it go on.
shut('a');
ok( $node->poll_query_until('postgres', q{
		SELECT count(*) = 2 FROM privacy_scan.workers WHERE kind = 'database' AND database <> 'a' AND state = 'idle' AND next_start < now() - interval '2 seconds'}),
	'the others wait, and workers shows since when');
like($node->safe_psql('postgres', q{SELECT query FROM pg_stat_activity WHERE backend_type = 'privacy_scan worker'}),
	qr/^privacy_scan: retention public\.scan$/, 'pg_stat_activity says for which job');
my $worker = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'privacy_scan worker'});
like(scalar(`ps -o args= -p $worker`), qr/privacy_scan: retention public\.scan/, 'so does the title of the process');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'privacy_scan worker'}), '1', 'one is at work');
set('privacy_scan.worker_max', 3);
goes_on('b', 'raised and reloaded: the next is served meanwhile');

# No slot is left for a third.
my $size = -s $node->logfile;
shut('b');
ok($node->poll_query_until('Shop 1', q{SELECT detail ~ 'no worker slot' FROM privacy_scan.workers WHERE kind = 'launcher'}),
	'the launcher finds no slot: workers says so');
is(schedule('Shop 1'), 'attention|no worker slot was free', 'and health()');
is($node->safe_psql('postgres', q{SELECT last_tick > now() - interval '30 seconds' FROM privacy_scan.workers WHERE kind = 'launcher'}), 't',
	'the launcher goes on ticking');
open_gate('a');
goes_on('Shop 1', 'a slot is free again: it goes on by itself');
open_gate('b');
goes_on($_, "$_ goes on") for ('a', 'b');
my @lines = grep { /privacy_scan (launcher|worker)/ } split /\n/, PostgreSQL::Test::Utils::slurp_file($node->logfile, $size);
is("@lines", '', 'without a line in the log');

# A launcher that is gone is seen, until it is back.
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM privacy_scan.workers WHERE kind = 'launcher'});
ok($node->poll_query_until('a', q{SELECT state = 'not running' AND pid IS NULL FROM privacy_scan.workers WHERE kind = 'launcher'}), 'no launcher: workers says so');
is(schedule('a'), 'attention|the launcher is not running', 'and health()');
goes_on('a', 'it comes back by itself');

done_testing();
