# The server, or the session that maintains, is killed at random moments while rows are written, partitions made
# and DEFAULT drained. After each restart every acknowledged row is there exactly once, no table is left behind,
# indexes agree with their tables, and maintenance goes on by itself.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;
use Time::HiRes qw(usleep);

my $rounds = 12;
take_seed();

my $node = new_server('main', 'autovacuum_naptime = 1s', 'restart_after_crash = on');
make_store($node);
$node->safe_psql('postgres', 'CREATE EXTENSION amcheck');

# A session that makes days pass, creates and drains until the server or somebody ends it.
sub maintain_for_ever
{
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $work = q{
		UPDATE clock SET at = at + interval '1 day';
		SELECT quote_literal(at) AS at FROM clock \gset
		CALL privacy_scan.run_maintenance(at => :at);
		CALL privacy_scan.run_drain('event', 200);
	};
	PostgreSQL::Test::Utils::append_to_file("$dir/maintain.sql", $work x 300);
	local $ENV{PGAPPNAME} = 'maintainer';
	return IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', "$dir/maintain.sql" ],
		'>', "$dir/out", '2>', "$dir/err");
}

my %kill = (
	'the server' => sub { $node->stop('immediate'); $node->start },
	# One process dies by kill -9: the others are ended, and the server recovers by itself.
	'the maintaining process' => sub {
		my $pid = $node->safe_psql('postgres',
			q{SELECT pid FROM pg_stat_activity WHERE application_name = 'maintainer'});
		PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $pid) if $pid;
		await_recovery($node);
	},
	# Nothing else is disturbed.
	'the maintaining session' => sub {
		$node->safe_psql('postgres',
			q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'maintainer'});
	});

# Tables and indexes of the store, checked against each other.
sub check_indexes
{
	my ($name) = @_;
	is( $node->safe_psql('postgres', q{
			SELECT count(bt_index_check(c.oid, true)) > 0
			FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_class t ON t.oid = i.indrelid
			WHERE c.relkind = 'i' AND t.relname ~ '^(event|reading|scan)';
			SELECT v.* FROM pg_class c, verify_heapam(c.oid) v
			WHERE c.relkind = 'r' AND c.relname ~ '^(event|reading|scan)'}),
		't', "$name: indexes and tables agree");
	return;
}

my @writers;
for my $round (1 .. $rounds)
{
	my $what = (sort keys %kill)[ $round % 3 ];
	my $name = "round $round, $what killed";
	my @now = map { write_rows($node, "writer$round-$_", 20000) } 1 .. 2;
	push @writers, @now;
	my $maintainer = maintain_for_ever();
	usleep(200_000 + rand(600_000));
	$kill{$what}->();
	# Writers that lived on have made their point.
	$_->{session}->signal('INT') for @now;
	$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()});
	$_->{session}->finish for @now;
	$maintainer->finish;

	is( $node->safe_psql('postgres', q{
			SELECT string_agg(relname, ' ') FROM pg_class
			WHERE relkind = 'r' AND relname ~ '^(event|reading)_|^pg_temp' AND NOT relispartition}),
		'', "$name: no table is left behind");
	check_ledger($node, $name, @writers);
	check_indexes($name);
	cmp_ok(converge($node), '<=', 10, "$name: maintenance goes on");
	check_ledger($node, "$name, maintained", @writers);
	check_layout($node, $name);
}

done_testing();
