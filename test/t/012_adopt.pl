# A live table of 300,000 rows becomes a partition set while clients write to it. First the adopting process is
# killed in each step: the server recovers, nothing is lost, the table is whole, and the adoption goes on. Then the
# adoption comes to its end under load and with a long reader in the way: no client's statement fails, none waits long,
# and afterwards every acknowledged row is there exactly once, as it was acknowledged.

use strict;
use warnings;
use IPC::Run;
use List::Util qw(max);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;

my $rows = 300_000;
my $most_ms = 2000; # what a client may wait in the worst case on a busy machine
my $node = new_server('main', 'restart_after_crash = on', 'autovacuum_naptime = 1s');
$node->safe_psql('postgres', qq{
	CREATE TABLE "Scan" (id text PRIMARY KEY, touched int NOT NULL DEFAULT 0);
	INSERT INTO "Scan" SELECT 's' || n FROM generate_series(1, 1000) n;
	CREATE TABLE "Evidence" (id text PRIMARY KEY, "scanId" text NOT NULL REFERENCES "Scan" ON DELETE CASCADE,
		n int NOT NULL DEFAULT 0, details jsonb, "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
	CREATE INDEX "Evidence_scanId_idx" ON "Evidence" ("scanId");
	INSERT INTO "Evidence" SELECT 'old' || n, 's' || 1 + n % 1000, 0, jsonb_build_object('n', n),
		now() - n * interval '1 minute' FROM generate_series(1, $rows) n;
	CREATE TABLE control (stop boolean NOT NULL);
	INSERT INTO control VALUES (false);
	CREATE TABLE stall (step text);
	CHECKPOINT;
});

# --- clients -----------------------------------------------------------------------------------------

# A session that inserts, updates, reads and deletes its own rows until it is told to stop. It prints what was
# acknowledged and how long each statement took.
sub start_client
{
	my ($name) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $text = "\\timing on\n";
	for my $n (1 .. 20000)
	{
		my ($scan, $earlier, $gone) = ('s' . (1 + int(rand(1000))), $n - 3, $n - 8);
		$text .= qq{INSERT INTO "Evidence" (id, "scanId", details) VALUES ('$name-$n', '$scan', '{}') RETURNING 'insert ' || id;\n};
		$text .= qq{UPDATE "Evidence" SET n = $n WHERE id = '$name-$earlier' RETURNING 'update ' || id || ' ' || n;\n};
		$text .= qq{SELECT count(*) > 0 FROM "Evidence" WHERE "scanId" = '$scan';\n} if $n % 4 == 0;
		$text .= qq{UPDATE "Scan" SET touched = touched + 1 WHERE id = '$scan';\n} if $n % 5 == 0;
		$text .= qq{DELETE FROM "Evidence" WHERE id = '$name-$gone' RETURNING 'delete ' || id;\n} if $n % 10 == 9;
		$text .= qq{SELECT stop FROM control \\gset\n\\if :stop\n\\q\n\\endif\n};
	}
	PostgreSQL::Test::Utils::append_to_file("$dir/client.sql", $text);
	my $session = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=1', '-f', "$dir/client.sql" ],
		'>', "$dir/out", '2>', "$dir/err");
	return { session => $session, out => "$dir/out", err => "$dir/err", name => $name };
}

# What the clients were told: rows that are there, with their number; rows that are gone.
sub ledger
{
	my (%there, %gone);
	for my $client (@_)
	{
		for (split /\n/, slurp_file($client->{out}))
		{
			if (/^insert (\S+)/) { $there{$1} = 0 }
			elsif (/^update (\S+) (\d+)/) { $there{$1} = $2 }
			elsif (/^delete (\S+)/) { delete $there{$1}; $gone{$1} = 1 }
		}
	}
	return (\%there, \%gone);
}

# exact: every statement was answered. Otherwise the last of a client may have been done without an answer.
sub check_rows
{
	my ($name, $exact, @clients) = @_;
	my ($there, $gone) = ledger(@clients);
	my (%stored, @twice);
	for (split /\n/, $node->safe_psql('postgres', q{SELECT id || ' ' || n FROM "Evidence" WHERE id NOT LIKE 'old%'}))
	{
		my ($id, $n) = split / /;
		push @twice, $id if exists $stored{$id};
		$stored{$id} = $n;
	}
	my @lost = grep { !exists $stored{$_} } keys %$there;
	my @back = grep { exists $stored{$_} } keys %$gone;
	my @stale = grep { exists $stored{$_} && $stored{$_} < $there->{$_} } keys %$there;
	cmp_ok(scalar(keys %$there), '>', 0, "$name: rows were acknowledged (" . keys(%$there) . ')');
	is("@twice", '', "$name: no row is there twice");
	is("@stale", '', "$name: every acknowledged update is there");
	is("@back", '', "$name: no deleted row is back");
	if ($exact)
	{
		is("@lost", '', "$name: no acknowledged row is lost");
		my @unknown = grep { !exists $there->{$_} } keys %stored;
		is("@unknown", '', "$name: no row came from nowhere");
	}
	else
	{
		cmp_ok(scalar(@lost), '<=', scalar(@clients), "$name: no acknowledged row is lost, but for deletes under way");
	}
	is( $node->safe_psql('postgres', q{SELECT count(*), count(DISTINCT id), sum((details->>'n')::bigint) FROM "Evidence" WHERE id LIKE 'old%'}),
		"$rows|$rows|" . $rows * ($rows + 1) / 2, "$name: the old rows are there once, whole");
	return;
}

# --- killed in each step -----------------------------------------------------------------------------

# Sleeps in the step that the table stall names, with all of that step done but its commit.
$node->safe_psql('postgres', q{
	CREATE FUNCTION stall() RETURNS event_trigger LANGUAGE plpgsql AS $$
	DECLARE
		here text;
	BEGIN
		SELECT CASE WHEN EXISTS (SELECT FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE relname LIKE 'Evidence\_until%' AND relkind = 'r') THEN 'attached'
			WHEN EXISTS (SELECT FROM pg_class WHERE relname LIKE 'Evidence\_until%') THEN 'renamed'
			WHEN EXISTS (SELECT FROM pg_class WHERE relname = 'Evidence_default') THEN 'parent made'
			WHEN EXISTS (SELECT FROM pg_constraint WHERE conname = 'privacy_scan_adoption' AND convalidated) THEN 'validated'
			WHEN EXISTS (SELECT FROM pg_constraint WHERE conname = 'privacy_scan_adoption') THEN 'limited' END INTO here;
		IF EXISTS (SELECT FROM public.stall WHERE step = here) THEN
			PERFORM pg_sleep(600);
		END IF;
	END $$;
	CREATE EVENT TRIGGER stall ON ddl_command_end EXECUTE FUNCTION stall();
});

sub start_adopter
{
	my ($sql) = @_;
	local $ENV{PGAPPNAME} = 'adopter';
	my $out = '';
	return IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $sql ], '>', \$out, '2>&1');
}

# Kills the process that runs the statement with -9 once it waits for what is named.
sub kill_in
{
	my ($name, $sql, $wait) = @_;
	my @clients = map { start_client("$name-$_" =~ s/ /_/gr) } 1 .. 2;
	my $adopter = start_adopter($sql);
	$node->poll_query_until('postgres',
		qq{SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'adopter' AND $wait})
	  or die "$name: not reached";
	my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE application_name = 'adopter'});
	PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $pid);
	$adopter->finish;
	$_->{session}->finish for @clients; # the crash ended them
	$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'the server does not recover';
	return @clients;
}

my $build = $node->safe_psql('postgres', q{SELECT sql FROM privacy_scan.adopt_table('"Evidence"', every => '1 month') WHERE state = 'yours'});
like($build, qr/^CREATE UNIQUE INDEX CONCURRENTLY /, 'for a function alone, the index is for the operator to build');
my @clients;
{
	# The build waits for a transaction that writes.
	my $holder = $node->background_psql('postgres', on_error_stop => 0);
	$holder->query_safe(q{BEGIN; UPDATE "Evidence" SET n = 0 WHERE id = 'old1'});
	push @clients, kill_in('build index', q{CALL privacy_scan.run_adoption('"Evidence"')},
		q{EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'privacy_scan statement' AND wait_event = 'virtualxid')});
	eval { $holder->quit };
}
is( $node->safe_psql('postgres', q{SELECT indisvalid FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relname LIKE 'privacy\_scan%'}),
	'f', 'build index killed: an invalid index is left');
is( $node->safe_psql('postgres', q{SELECT string_agg(state, ' ') FROM privacy_scan.adopt_table('"Evidence"')}),
	'yours waiting waiting waiting', 'build index killed: it is dropped, and to be built again');
is( $node->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relname LIKE 'privacy\_scan%'}), '0', 'the invalid index is gone');
{
	# The build has read the table and waits for an old snapshot: the view shows how fast it was.
	my $holder = $node->background_psql('postgres');
	$holder->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
	my $builder = start_adopter($build);
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_progress_create_index WHERE phase = 'waiting for old snapshots'})
	  or die 'the build does not wait';
	is($node->safe_psql('postgres', 'SELECT step, done, total, rate > 0 FROM privacy_scan.adoptions'), 'build index|0|4|t', 'the view tells the rate of the build');
	$holder->quit;
	$builder->finish;
	is($node->safe_psql('postgres', 'SELECT step, done, total, rate FROM privacy_scan.adoptions'), 'limit key|1|4|', 'and then goes on without one');
}
$node->safe_psql('postgres', 'DROP INDEX CONCURRENTLY ' . $node->safe_psql('postgres', q{SELECT relname FROM pg_class WHERE relname LIKE 'privacy\_scan%' AND relkind = 'i'}));

# The next run of the procedure builds it by itself.
my %standing = (limited => 'limit key', validated => 'validate limit');
for my $step ('limited', 'validated', 'parent made', 'renamed', 'attached')
{
	$node->safe_psql('postgres', qq{TRUNCATE stall; INSERT INTO stall VALUES ('$step')});
	push @clients, kill_in($step, q{CALL privacy_scan.run_adoption('"Evidence"')}, q{wait_event = 'PgSleep'});
	is( $node->safe_psql('postgres', q{SELECT state || ', ' || step FROM privacy_scan.adoptions}),
		'preparing, ' . ($standing{$step} // 'switch'), "killed in $step: the adoption stands before that step");
	is( $node->safe_psql('postgres', q{SELECT string_agg(concat(relname, ' ', relkind), ', ') FROM pg_class WHERE relname LIKE 'Evidence%' AND relkind IN ('r', 'p')}),
		'Evidence r', "killed in $step: the table is as it was");
}
$node->safe_psql('postgres', 'DROP EVENT TRIGGER stall');
check_rows('after the kills', 0, @clients);

# --- to the end, under load --------------------------------------------------------------------------

my $before = $node->safe_psql('postgres', q{DELETE FROM "Evidence" WHERE id NOT LIKE 'old%'; SELECT count(*) FROM "Evidence"});
is($before, $rows, 'a new start');
my @load = map { start_client("load$_") } 1 .. 4;
$node->poll_query_until('postgres', q{SELECT count(*) > 200 FROM "Evidence" WHERE id LIKE 'load%'}) or die 'no load';
my $reader = $node->background_psql('postgres');
$reader->query_safe(q{BEGIN; SELECT count(*) FROM "Evidence" WHERE id = 'old1'});
my $pid = $reader->query_safe('SELECT pg_backend_pid()');
my ($status, undef, $stderr) = $node->psql('postgres',
	q{SET privacy_scan.lock_attempts = 1; SET client_min_messages = warning; CALL privacy_scan.run_adoption('"Evidence"')});
like($stderr, qr/canceling statement due to lock timeout \(held by .*pid $pid/, 'a lock that is not to be had: it gives up, and says who');
like($node->safe_psql('postgres', 'SELECT last_error FROM privacy_scan.adoptions'), qr/^55P03: .*pid $pid/, 'and so does the view');
my $adopter = start_adopter(q{CALL privacy_scan.run_adoption('"Evidence"')});
# The reader stays for three seconds of the adoption's vain tries.
$node->poll_query_until('postgres',
	q{SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'adopter' AND now() - xact_start > interval '3 seconds'})
  or die 'the adoption does not wait for the reader';
$reader->quit;
ok($adopter->finish, 'the adoption came to its end');
my $at_switch = $node->safe_psql('postgres', q{SELECT count(*) FROM "Evidence"});
$node->poll_query_until('postgres', qq{SELECT count(*) > $at_switch + 200 FROM "Evidence"}) or die 'no load after the switch';
$node->safe_psql('postgres', 'UPDATE control SET stop = true');
$_->{session}->finish for @load;

is(join('', map { slurp_file($_->{err}) } @load), '', 'no statement of a client failed');
my @times = map { slurp_file($_->{out}) =~ /^Time: ([\d.]+) ms/mg } @load;
my ($held, $tries) = split /\|/, $node->safe_psql('postgres', q{SELECT round(lock_held_ms::numeric, 1), lock_tries FROM privacy_scan.adoptions});
diag(sprintf('adoption of %d rows under load: strong lock held %s ms, after %d tries; worst of %d statements %.0f ms',
		$rows, $held, $tries, scalar(@times), max(@times)));
cmp_ok($tries, '>', 1, 'the reader was in the way');
cmp_ok(max(@times), '<', $most_ms, 'no client waited long');
cmp_ok($held, '<', $most_ms, 'the strong lock was held briefly');
check_rows('adopted', 1, @load);
is( $node->safe_psql('postgres', q{SELECT count(*) FROM privacy_scan.partitions WHERE parent = '"Evidence"'::regclass}),
	'6', 'it is a partition set');
$node->safe_psql('postgres', q{INSERT INTO "Evidence" (id, "scanId", "createdAt") VALUES ('later', 's1', now() + interval '2 months')});
is( $node->safe_psql('postgres', q{SELECT count(*) FROM privacy_scan.maintain_partitions()}), '0', 'and kept as one');
$node->safe_psql('postgres', 'CREATE EXTENSION amcheck');
is( $node->safe_psql('postgres', q{SELECT count(bt_index_check(c.oid, true)) > 0 FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
		JOIN pg_class t ON t.oid = i.indrelid WHERE c.relkind = 'i' AND t.relname LIKE 'Evidence%'}),
	't', 'its indexes agree with it');

done_testing();
