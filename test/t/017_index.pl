# An index built online: the build is interrupted in every way there is, with an invalid index left behind, and the
# next run leaves none and a whole one, while clients write. A transaction in the way is named; what is set for the
# database and for roles, and an owner who cannot log in, change nothing; nobody indexes what is not his.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;

my $node = new_server('main', 'restart_after_crash = on', 'autovacuum = off');
$node->safe_psql('postgres', q{
	CREATE EXTENSION amcheck;
	CREATE ROLE keeper NOLOGIN;
	CREATE ROLE other LOGIN;
	CREATE SCHEMA store AUTHORIZATION keeper;
	GRANT EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan TO other;
	GRANT USAGE ON SCHEMA privacy_scan, store TO other;
	SET ROLE keeper;
	CREATE TABLE store."Issue" (id bigint GENERATED ALWAYS AS IDENTITY, "scanId" text NOT NULL);
	INSERT INTO store."Issue" ("scanId") SELECT md5(n::text) FROM generate_series(1, 20000) n;
	CREATE TABLE store.event (id int, at int NOT NULL) PARTITION BY RANGE (at);
	CREATE TABLE store.event_1 PARTITION OF store.event FOR VALUES FROM (0) TO (100);
	CREATE TABLE store.event_2 PARTITION OF store.event FOR VALUES FROM (100) TO (200);
	CREATE TABLE store.event_rest PARTITION OF store.event DEFAULT;
	INSERT INTO store.event SELECT n, n % 300 FROM generate_series(1, 3000) n});

my $call = q{CALL privacy_scan.run_index('store."Issue"', '{scanId}')};

# --- tools ---------------------------------------------------------------------------------------------

sub start
{
	my ($name, @commands) = @_;
	my ($out, $err) = ('', '');
	my $session = IPC::Run::start(
		[ 'env', "PGAPPNAME=$name", 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), map { ('-c', $_) } @commands ],
		'>', \$out, '2>', \$err);
	return { session => $session, out => \$out, err => \$err };
}

# What it said; it ends within a minute.
sub finish
{
	my ($started) = @_;
	my $timer = IPC::Run::timer(60);
	push @{ $started->{session}{TIMERS} }, $timer;
	$timer->start;
	eval { $started->{session}->finish; 1 } or $started->{session}->kill_kill;
	return ${ $started->{err} };
}

sub pid_of
{
	my ($name) = @_;
	return $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE application_name = '$name'");
}

# A session that did something and idles in its transaction, after a mere query with its snapshot: a build has to
# wait for its end.
sub stand_in_the_way
{
	my ($sql) = @_;
	my $blocker = $node->background_psql('postgres', on_error_stop => 0);
	my $level = $sql =~ /^SELECT/ ? 'REPEATABLE READ' : 'READ COMMITTED';
	$blocker->query_safe("SET application_name = 'blocker'; BEGIN ISOLATION LEVEL $level; $sql");
	return $blocker;
}

my $write = q{INSERT INTO store."Issue" ("scanId") VALUES (0)};

my $processes = q{FROM pg_stat_activity WHERE backend_type = 'privacy_scan statement'};
my $count = "SELECT 'processes: ' || count(*) $processes";
my $invalid = q{SELECT count(*) FROM pg_index WHERE NOT indisvalid};

sub await_build
{
	$node->poll_query_until('postgres', "SELECT EXISTS (SELECT $processes AND wait_event_type = 'Lock') AND EXISTS (SELECT FROM pg_index WHERE NOT indisvalid)")
	  or die 'no build is under way';
	return;
}

sub end_blocker
{
	my ($blocker) = @_;
	$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'blocker'});
	eval { $blocker->quit };
	return;
}

# No invalid index anywhere; every row of each leaf is in its index, and the index is sound.
sub check_whole
{
	my ($name, $indexes) = @_;
	is($node->safe_psql('postgres', $invalid), '0', "$name: no invalid index is left");
	is($node->safe_psql('postgres', qq{
			SELECT count(bt_index_check(c.oid, heapallindexed => true)::text) FROM pg_class c
			WHERE relkind = 'i' AND relname ~ '^(Issue|event_.*)_(scanId|id)_idx\$' AND relowner = 'keeper'::regrole}),
		$indexes, "$name: the index is there, with every row in it");
	return;
}

# --- clients that go on all the time -------------------------------------------------------------------

sub start_writer
{
	return start('writer', (q{INSERT INTO store."Issue" ("scanId") SELECT md5(random()::text) FROM generate_series(1, 20)}) x 50);
}

# --- interrupted in every way --------------------------------------------------------------------------

my %interruptions = (
	# The process is held back meanwhile.
	'the session is cancelled' => sub {
		my $pid = $node->safe_psql('postgres', "SELECT pid $processes");
		kill 'STOP', $pid;
		$node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . pid_of('builder') . '), pg_sleep(0.3)');
		kill 'CONT', $pid;
	},
	'the session is terminated' => sub { $node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . pid_of('builder') . ')') },
	'the process is cancelled' => sub { $node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) $processes") },
	'the process is terminated' => sub { $node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) $processes") },
	'the session is killed' => sub { kill 9, pid_of('builder') },
	'the process is killed' => sub { kill 9, $node->safe_psql('postgres', "SELECT pid $processes") },
	'the server stops at once' => sub { $node->stop('immediate') });

for my $name (sort keys %interruptions)
{
	my $blocker = stand_in_the_way($write);
	my $builder = start('builder', $call, $count);
	await_build();
	$interruptions{$name}->();
	my $err = finish($builder);
	if ($name =~ /session is cancelled/)
	{
		is(${ $builder->{out} }, "processes: 0\n", "$name: the statement has ended when the session goes on");
		like($err, qr/57014/, "$name: which is told so");
	}
	like($err, qr/57014/, "$name: the session is told so") if $name =~ /process is (cancelled|terminated)/;
	$node->start if $name =~ /stops/;
	$node->poll_query_until('postgres', "SELECT count(*) = 0 $processes") or die 'the statement goes on';
	end_blocker($blocker);
	is($node->safe_psql('postgres', $invalid), '1', "$name: an invalid index is left");
	my $writer = start_writer();
	my ($status, $out, $said) = $node->psql('postgres', $call);
	is($status, 0, "$name: the next run comes to its end") or diag $said;
	like($said, qr/index "Issue_scanId_idx" dropped.*index "Issue_scanId_idx" built/s, "$name: and says what it did");
	is(finish($writer), '', "$name: writers went on");
	check_whole($name, 1);
	($status, $out, $said) = $node->psql('postgres', $call);
	is("$status $said", '0 ', "$name: then there is nothing to do");
	$node->safe_psql('postgres', 'DROP INDEX store."Issue_scanId_idx"');
}

# --- in the way ----------------------------------------------------------------------------------------

my $short = q{privacy_scan.concurrent_lock_timeout = '500ms'};
for my $case ([ 'a writer', $write, $short ], [ 'an old snapshot', 'SELECT count(*) FROM pg_class', $short ], [ 'a writer', $write, q{statement_timeout = '1s'} ])
{
	my ($who, $sql, $setting) = @$case;
	my $name = "$who in the way, $setting";
	my $blocker = stand_in_the_way($sql);
	my $pid = pid_of('blocker');
	my $builder = start('builder', "SET $setting", $call, $count);
	my $err = finish($builder);
	my $expected = $setting =~ /statement/ ? qr/57014/ : qr/55P03.*\(held by pid $pid\)/;
	like($err, $expected, "$name: gives up in time and says why");
	is(${ $builder->{out} }, "processes: 0\n", "$name: nothing goes on");
	end_blocker($blocker);
	$node->safe_psql('postgres', $call);
	check_whole($name, 1);
	$node->safe_psql('postgres', 'DROP INDEX store."Issue_scanId_idx"');
}

# What fails for a reason of its own leaves nothing behind at once.
my ($status, $out, $err) = $node->psql('postgres', q{
	\set VERBOSITY verbose
	INSERT INTO store."Issue" ("scanId") VALUES ('twice'), ('twice');
	CALL privacy_scan.run_index('store."Issue"', '{scanId}', is_unique => true)});
like($err, qr/23505.*twice/s, 'rows that are not unique are named');
is($node->safe_psql('postgres', $invalid), '0', 'and the index that failed is gone');

# --- a partition set -----------------------------------------------------------------------------------

my $blocker = stand_in_the_way('INSERT INTO store.event_2 VALUES (1, 150)');
my $builder = start('builder', q{CALL privacy_scan.run_index('store.event', '{id}')});
await_build();
($status, $out, $err) = $node->psql('postgres', q{CALL privacy_scan.run_index('store.event', '{id}')});
like($err, qr/another session builds an index on relation "event"/, 'two runs at once: the second does nothing');
my $process = $node->safe_psql('postgres', "SELECT pid $processes");
($status, $out, $err) = $node->psql('postgres', q{SET privacy_scan.lock_attempts = 2; CALL privacy_scan.run_index('store.event_2', '{id}')});
like($err, qr/lock timeout \(held by .*pid $process\b/, 'an index that is being built is no remainder');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relname ~ '^event_2_id_idx'}), '1', 'and is left alone');
my $first = $node->safe_psql('postgres', q{SELECT 'store.event_1_id_idx'::regclass::oid});
kill 9, pid_of('builder');
finish($builder);
$node->poll_query_until('postgres', "SELECT count(*) = 0 $processes") or die 'the server is not back';
end_blocker($blocker);
$node->safe_psql('postgres', q{SET ROLE keeper; CREATE TABLE store.event_3 PARTITION OF store.event FOR VALUES FROM (300) TO (400)});
$node->safe_psql('postgres', q{CALL privacy_scan.run_index('store.event', '{id}')});
check_whole('a partition set', 4);
is($node->safe_psql('postgres', q{SELECT 'store.event_1_id_idx'::regclass::oid}), $first, 'what was done before is kept');
is( $node->safe_psql('postgres', q{SELECT string_agg(relid::regclass::text, ' ' ORDER BY relid::regclass::text) FROM pg_partition_tree('store.event_id_idx')}),
	'store.event_1_id_idx store.event_2_id_idx store.event_3_id_idx store.event_id_idx store.event_rest_id_idx',
	'every partition has its index, one that came meanwhile too');

# --- whose rights, whose settings ----------------------------------------------------------------------

$node->safe_psql('postgres', q{
	CREATE TABLE who (current text, session text);
	GRANT INSERT ON who TO PUBLIC;
	CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.who VALUES (current_user, session_user);
	END $$;
	CREATE EVENT TRIGGER note ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION note();
	CREATE SCHEMA trap;
	CREATE FUNCTION trap.equal(oid, oid) RETURNS boolean LANGUAGE sql AS 'SELECT 1 / 0 = 1';
	CREATE OPERATOR trap.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = trap.equal);
	GRANT USAGE ON SCHEMA trap TO PUBLIC;
	REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
	GRANT CONNECT ON DATABASE postgres TO other;
	ALTER DATABASE postgres SET max_parallel_maintenance_workers = 2;
	ALTER DATABASE postgres SET min_parallel_table_scan_size = 0});
my %hostile = (
	default_transaction_isolation => q{'serializable'}, default_transaction_read_only => q{'on'}, statement_timeout => q{'1ms'},
	lock_timeout => q{'1ms'}, search_path => 'trap, pg_catalog', session_replication_role => q{'replica'}, row_security => q{'off'},
	role => q{'other'}, idle_in_transaction_session_timeout => q{'1ms'}, default_tablespace => q{'nowhere'}, default_table_access_method => q{'nowhere'},
	quote_all_identifiers => q{'on'});
# Set by hand of what is superuser's: some would keep even ALTER DATABASE from coming back.
for my $whom ('DATABASE postgres', 'ROLE keeper')
{
	$node->safe_psql('template1', join(';', map { "ALTER $whom SET $_ = $hostile{$_}" } grep { !/^role$/ || $whom =~ /ROLE/ } sort keys %hostile));
}
{
	local $ENV{PGOPTIONS} = join(' ', '-c default_transaction_isolation=read\ committed', '-c default_transaction_read_only=off', '-c statement_timeout=0',
		'-c lock_timeout=0', '-c idle_in_transaction_session_timeout=0', '-c session_replication_role=origin', '-c default_table_access_method=heap');
	($status, $out, $err) = $node->psql('postgres', $call);
	is($status, 0, 'hostile settings of the database and of the owner change nothing') or diag $err;
}
$node->safe_psql('template1', 'ALTER DATABASE postgres RESET ALL; ALTER ROLE keeper RESET ALL');
check_whole('hostile settings', 5);
is($node->safe_psql('postgres', 'SELECT DISTINCT current, session FROM who'), 'keeper|keeper', 'the statement runs as the owner, who cannot log in');

my $as_other = $node->connstr('postgres') . ' user=other';
($status, $out, $err) = $node->psql('postgres', $call, connstr => $as_other);
like($err, qr/must be owner of relation "Issue"/, 'nobody indexes what is not his');
is($node->safe_psql('postgres', 'SELECT count(*) FROM who'), '1', 'nor is a process started for him');
$node->safe_psql('postgres', 'CREATE TABLE store.own (id int); ALTER TABLE store.own OWNER TO other');
($status, $out, $err) = $node->psql('postgres', q{CALL privacy_scan.run_index('store.own', '{id}')}, connstr => $as_other);
like($err, qr/permission denied for schema store/, 'nor makes anything where he must not');
$node->safe_psql('postgres', 'GRANT CREATE ON SCHEMA store TO other');
($status, $out, $err) = $node->psql('postgres', q{CALL privacy_scan.run_index('store.own', '{id}')}, connstr => $as_other);
is($status, 0, 'what is his own he does') or diag $err;

# --- no slot -------------------------------------------------------------------------------------------

$node->append_conf('postgresql.conf', 'max_worker_processes = 0');
$node->restart;
($status, $out, $err) = $node->psql('postgres', q{CALL privacy_scan.run_index('store."Issue"', '{id}')});
like($err, qr/no worker slot is free/, 'without a worker slot it says so');

$node->safe_psql('postgres', q{
	CREATE TABLE plain (id int PRIMARY KEY, at timestamp NOT NULL);
	SELECT count(*) FROM privacy_scan.adopt_table('plain', 'at')});
($status, $out, $err) = $node->psql('postgres', q{CALL privacy_scan.run_adoption('plain')});
is($status, 0, 'an adoption goes on as far as it can');
like($err, qr/build index: a statement for you to run.*CREATE UNIQUE INDEX CONCURRENTLY/s, 'and hands out what it can not do itself');

done_testing();
