# A partition of 300,000 rows falls into 24 while clients move amounts between its rows, also from one month into
# another, and delete and insert rows anew. The amounts add up to the same in every snapshot: also in one that was
# taken before the pieces came and reads them afterwards. The splitting process is killed again and again meanwhile. Then
# the interval is changed to one that crosses all months, and the worker brings the partitions to it under the same load, and is
# killed and terminated meanwhile.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;
use Time::HiRes qw(usleep);

my $rows = 300_000;
my $bank = 2_000;
my $node = new_server('main', q{shared_preload_libraries = 'privacy_scan'}, 'privacy_scan.worker_naptime = 1s', 'restart_after_crash = on', 'autovacuum_naptime = 1s', 'max_connections = 40', 'max_prepared_transactions = 2');
my $dir = PostgreSQL::Test::Utils::tempdir();
$node->safe_psql('postgres', qq{
	CREATE EXTENSION amcheck;
	CREATE TABLE "Scan" (id int PRIMARY KEY);
	INSERT INTO "Scan" SELECT generate_series(1, 1000);
	CREATE TABLE "Evidence" (id text, "scanId" int NOT NULL REFERENCES "Scan" ON DELETE CASCADE, "createdAt" timestamp(3) NOT NULL,
		kind text NOT NULL, n bigint NOT NULL, details jsonb, PRIMARY KEY (id, "createdAt")) PARTITION BY RANGE ("createdAt");
	CREATE INDEX ON "Evidence" ("scanId");
	CREATE INDEX ON "Evidence" (kind) WHERE kind <> 'page';
	CREATE TABLE "Evidence_wide" PARTITION OF "Evidence" FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
	INSERT INTO "Evidence" SELECT 'page' || n, 1 + n % 1000, timestamp '2024-01-01' + n * (interval '730 days' / $rows), 'page', n,
		jsonb_build_object('n', n) FROM generate_series(1, $rows) n;
	INSERT INTO "Evidence" SELECT 'bank' || n, 1 + n % 1000, timestamp '2024-01-02' + n * (interval '725 days' / $bank), 'bank', 100,
		CASE WHEN n % 20 = 0 THEN (SELECT jsonb_object_agg(i, md5((i * n)::text)) FROM generate_series(1, 300) i) END FROM generate_series(1, $bank) n;
	CREATE TABLE violation (seen text);
	CREATE TABLE other (n int);
	INSERT INTO other VALUES (1);
});
$node->safe_psql('postgres', q{SELECT privacy_scan.manage_partitions('"Evidence"', 'createdAt', interval '1 month')});
my $pages = q{SELECT privacy_scan.row_digest(e.*) FROM "Evidence" e WHERE kind = 'page'};
my $before = $node->safe_psql('postgres', $pages);

# --- clients -----------------------------------------------------------------------------------------

# Amounts go from row to row; some rows go to another month with it, some are deleted and come back.
append_to_file("$dir/transfer.sql", qq{
\\set a random(1, $bank)
\\set b random(1, $bank)
\\set kind random(1, 10)
BEGIN;
WITH u AS (UPDATE "Evidence" SET n = n - 1 WHERE id = 'bank:a' RETURNING 1) SELECT count(*) AS taken FROM u \\gset
\\if :kind = 1
UPDATE "Evidence" SET "createdAt" = timestamp '2024-01-02' + random() * interval '700 days' WHERE id = 'bank:a';
\\elif :kind = 2
WITH gone AS (DELETE FROM "Evidence" WHERE id = 'bank:a' RETURNING *)
INSERT INTO "Evidence" SELECT id, "scanId", timestamp '2024-01-02' + random() * interval '700 days', kind, n, details FROM gone;
\\elif :kind = 3
SAVEPOINT s;
DELETE FROM "Evidence" WHERE id = 'bank:b';
ROLLBACK TO s;
\\elif :kind = 4
SELECT n FROM "Evidence" WHERE id = 'bank:b' FOR SHARE;
\\endif
WITH u AS (UPDATE "Evidence" SET n = n + 1 WHERE id = 'bank:b' RETURNING 1) SELECT count(*) AS given FROM u \\gset
\\if :taken = :given
COMMIT;
\\else
ROLLBACK;
\\endif
} =~ s/'bank:(\w)'/('bank' || :$1)/gr);

# The snapshot is taken by a look at another table, and used later.
append_to_file("$dir/read.sql", qq{
\\set ms random(1, 60)
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT n FROM other;
\\sleep :ms ms
SELECT count(*) AS rows, count(DISTINCT id) AS ids, sum(n) AS amount, sum(length(details::text)) AS width FROM "Evidence" WHERE kind = 'bank' \\gset
COMMIT;
INSERT INTO violation SELECT concat_ws(' ', :rows, :ids, :amount) WHERE (:rows, :ids, :amount) <> ($bank, $bank, 100 * $bank);
});

sub start_clients
{
	my @clients;
	for my $work (['transfer', 3], ['read', 2])
	{
		my ($name, $count) = @$work;
		my $client = { name => $name, out => '', err => '' };
		$client->{run} = IPC::Run::start(
			[ 'pgbench', '-n', '-c', $count, '-j', 1, '-T', 600, '--max-tries=100', '-f', "$dir/$name.sql", $node->connstr('postgres') ],
			'>', \$client->{out}, '2>', \$client->{err});
		push @clients, $client;
	}
	return @clients;
}

sub stop_clients
{
	my (@clients) = @_;
	for my $client (@clients)
	{
		$client->{run}->signal('TERM');
		$client->{run}->finish;
	}
	return;
}

sub check_rows
{
	my ($name) = @_;
	is($node->safe_psql('postgres', 'SELECT * FROM violation'), '', "$name: every snapshot saw every amount once");
	is( $node->safe_psql('postgres', q{SELECT count(*), count(DISTINCT id), sum(n) FROM "Evidence" WHERE kind = 'bank'}),
		join('|', $bank, $bank, 100 * $bank), "$name: no amount is lost or doubled");
	is($node->safe_psql('postgres', $pages), $before, "$name: the rows that nobody touched are what they were");
	return;
}

my $split_step = q{SELECT step FROM privacy_scan.splits WHERE partition = '"Evidence_wide"'::regclass};

# --- killed again and again --------------------------------------------------------------------------

sub start_splitter
{
	my ($rate) = @_;
	local $ENV{PGAPPNAME} = 'splitter';
	my $splitter = { out => '' };
	$splitter->{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "SET privacy_scan.split_rate = $rate",
			'-c', q{CALL privacy_scan.run_split('"Evidence_wide"')} ], '>', \$splitter->{out}, '2>&1');
	return $splitter;
}

# Waits for a step and kills the process that does it, within it or in what comes next to it; or terminates it.
sub end_in
{
	my ($step, $view, $signal, $process) = @_;
	my $deadline = time + 60;
	my $now = '';
	until ($now eq $step || $now eq 'done' || time > $deadline)
	{
		$now = $node->safe_psql('postgres', $view);
	}
	usleep(int(rand(300_000))) if $step ne 'switch';
	my ($then, $pid) = split /\|/, $node->safe_psql('postgres', "SELECT ($view), ($process)"), -1;
	return 0 if $pid eq ''; # it was faster
	PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', $signal, $pid);
	note("$signal in: $then");
	return 1;
}

sub kill_splitter_in
{
	my ($step) = @_;
	my @clients = start_clients();
	my $splitter = start_splitter($step eq 'copy' ? 16384 : 0);
	my $is_killed = end_in($step, $split_step, 'KILL', q{SELECT max(pid) FROM pg_stat_activity WHERE application_name = 'splitter'});
	$splitter->{run}->finish;
	if ($is_killed) { $_->{run}->finish for @clients } # the crash ended them
	else { stop_clients(@clients) }
	await_recovery($node);
	return;
}

# Who keeps it waiting is said.
$node->safe_psql('postgres', q{BEGIN; UPDATE other SET n = n; PREPARE TRANSACTION 'forgotten'});
$node->safe_psql('postgres', q{SELECT privacy_scan.split_partition('"Evidence_wide"')}) for 1, 2;
# Others may be about, too.
like( $node->safe_psql('postgres', 'SELECT waiting FROM privacy_scan.splits'), qr/[:;] prepared transaction 'forgotten'$/, 'it names the transaction that it waits for');
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'forgotten'});

kill_splitter_in($_) for 'copy', 'build indexes', 'switch';
check_rows('after the kills');

# --- to the end, under load --------------------------------------------------------------------------

my @clients = start_clients();
my $splitter = start_splitter(0);
$splitter->{run}->finish;
is($node->safe_psql('postgres', 'SELECT concat(step, last_error) FROM privacy_scan.splits'), 'done', 'the split comes to its end');
usleep(500_000); # for readers whose snapshot is older
stop_clients(@clients);
unlike($_->{err}, qr/aborted|ERROR/, "$_->{name}: no statement failed") for @clients;
check_rows('after the split');
note($node->safe_psql('postgres', 'SELECT concat(copied_rows, $$ rows, $$, applied, $$ changes, strong locks $$, lock_held_ms, $$ ms, tries $$, lock_tries) FROM privacy_scan.splits'));
is( $node->safe_psql('postgres', q{SELECT count(*) FROM privacy_scan.partition_bounds('"Evidence"') WHERE lower_bound < '2026'}), '23', 'a partition for each month');

# --- another interval --------------------------------------------------------------------------------

# All of the months at once: none of the new bounds is one of theirs.
$node->safe_psql('postgres', q{
	SELECT privacy_scan.set_partitions('"Evidence"', every => '50 days');
	SELECT privacy_scan.reshape_partitions('"Evidence"', drop_sources => true)});
note($node->safe_psql('postgres', q{SELECT step, cardinality(sources), count(*) FROM privacy_scan.plan_reshape('"Evidence"') GROUP BY 1, 2}));
my $reshape_step = q{SELECT coalesce((SELECT step FROM privacy_scan.splits WHERE in_background),
	(SELECT CASE state WHEN 'done' THEN state ELSE 'begin' END FROM privacy_scan.jobs WHERE job ~ '^splits'))};
for my $end (['copy', 'KILL'], ['catch up', 'TERM'], ['wait for readers', 'KILL'])
{
	$node->safe_psql('postgres', q{UPDATE privacy_scan.job_states SET next_start = now() WHERE kind = 'splits'}); # not only in a minute
	@clients = start_clients();
	end_in($end->[0], $reshape_step, $end->[1], q{SELECT max(pid) FROM privacy_scan.job_runs WHERE kind = 'splits' AND outcome = 'running'});
	stop_clients(@clients);
	await_recovery($node);
}
@clients = start_clients();
$node->poll_query_until('postgres', q{WITH hurried AS (UPDATE privacy_scan.job_states SET next_start = now() WHERE kind = 'splits' AND next_start > now() + interval '10 s')
	SELECT state = 'done' FROM privacy_scan.jobs WHERE job ~ '^splits'}) or die 'the job does not come to rest';
is( $node->safe_psql('postgres', q{SELECT state FROM privacy_scan.jobs WHERE job ~ '^splits'}), 'done', 'the job comes to rest');
usleep(500_000);
stop_clients(@clients);
unlike($_->{err}, qr/aborted|ERROR/, "$_->{name}: no statement failed") for @clients;
check_rows('after the change of the interval');
is( $node->safe_psql('postgres', q{SELECT count(*) FROM privacy_scan.plan_reshape('"Evidence"')}), '0', 'all partitions fit');
cmp_ok( $node->safe_psql('postgres', q{SELECT count(*) FROM privacy_scan.partition_bounds('"Evidence"') WHERE lower_bound < '2026'}), '<', 20, 'and are fewer');
note($node->safe_psql('postgres', q{SELECT outcome, count(*), sum(rows), sum(partitions), max(blocked_others_ms) FROM privacy_scan.job_runs WHERE job ~ '^splits' GROUP BY 1}));

# --- what is left ------------------------------------------------------------------------------------

is( $node->safe_psql('postgres', q{
	SELECT count(*) FROM pg_inherits h, LATERAL verify_heapam(h.inhrelid::regclass) WHERE inhparent = '"Evidence"'::regclass}), '0', 'their heaps are sound');
$node->safe_psql('postgres', q{
	SELECT bt_index_check(i.indexrelid, true) FROM pg_inherits h JOIN pg_index i ON i.indrelid = h.inhrelid WHERE inhparent = '"Evidence"'::regclass});
pass('and so are their indexes');
$node->safe_psql('postgres', q{VACUUM "Evidence"});
check_rows('after vacuum');
$node->safe_psql('postgres', q{DELETE FROM "Scan" WHERE id = 1});
is( $node->safe_psql('postgres', q{SELECT count(*) FROM "Evidence" WHERE "scanId" = 1}), '0', 'foreign keys hold: a cascade');
my ($code, undef, $err) = $node->psql('postgres', q{INSERT INTO "Evidence" VALUES ('x', 1, '2024-05-05', 'x', 1)});
like($err, qr/violates foreign key/, 'and a refusal');
is( $node->safe_psql('postgres', q{SELECT count(*) FROM "Evidence_wide" WHERE "scanId" = 1}) > 0, 1, 'the copy that is left is not touched');
done_testing();
