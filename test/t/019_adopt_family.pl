# A live family, Scan by its id, Evidence and Issue by their scan's, becomes three partition sets and three plain tables
# again, over and over, while clients write to it and the server is killed at random moments. Then once under load without
# kills: no statement of a client fails or waits long, and every acknowledged row is there exactly once.
# PRIVACY_SCAN_ADOPT_ROWS and PRIVACY_SCAN_ADOPT_KILLS ask for more than the suite does: see scripts/adopt_trial.

use strict;
use warnings;
use IPC::Run;
use List::Util qw(max);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;
use Time::HiRes qw(usleep time);

my $rows = $ENV{PRIVACY_SCAN_ADOPT_ROWS} // 50_000; # of Evidence; a tenth of it scans, and issues
my $kills = $ENV{PRIVACY_SCAN_ADOPT_KILLS} // 3;
my $seed = $ENV{PRIVACY_SCAN_ADOPT_SEED} // time;
my $most_ms = 2000; # what a client may wait in the worst case on a busy machine
srand($seed);
note("seed $seed");
my $scans = int($rows / 10);
my @tables = ([ 'Scan', 'id' ], [ 'Evidence', 'scanId' ], [ 'Issue', 'scanId' ]);

my $node = new_server('main', 'restart_after_crash = on', 'autovacuum_naptime = 1s', 'max_wal_size = 4GB');
$node->safe_psql('postgres', qq{
	CREATE FUNCTION cuid(at timestamptz, tail text) RETURNS text LANGUAGE sql VOLATILE AS \$\$ SELECT privacy_scan.key_at('cuid', at) || lpad(tail, 16, '0') \$\$;
	CREATE TABLE "Scan" (id text COLLATE "C" PRIMARY KEY, status text NOT NULL DEFAULT 'queued', n int NOT NULL DEFAULT 0, "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
	CREATE TABLE "Evidence" (id text COLLATE "C" PRIMARY KEY, "scanId" text COLLATE "C" NOT NULL, n int NOT NULL DEFAULT 0, details jsonb, "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
	CREATE TABLE "Issue" (id text COLLATE "C" PRIMARY KEY, "scanId" text COLLATE "C" NOT NULL, title text, "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
	INSERT INTO "Scan" SELECT cuid(now() - m * interval '5 minutes', 'old' || m), 'done', m FROM generate_series(1, $scans) m;
	INSERT INTO "Evidence" SELECT s.id || '-' || k, s.id, k, jsonb_build_object('n', s.n) FROM "Scan" s, generate_series(1, 10) k;
	INSERT INTO "Issue" SELECT s.id || '-i', s.id, 'title' FROM "Scan" s;
	ALTER TABLE "Evidence" ADD CONSTRAINT "Evidence_scanId_fkey" FOREIGN KEY ("scanId") REFERENCES "Scan" ON UPDATE CASCADE ON DELETE CASCADE;
	ALTER TABLE "Issue" ADD CONSTRAINT "Issue_scanId_fkey" FOREIGN KEY ("scanId") REFERENCES "Scan" ON UPDATE CASCADE ON DELETE CASCADE;
	CREATE INDEX "Evidence_scanId_idx" ON "Evidence" ("scanId");
	CREATE INDEX "Issue_scanId_idx" ON "Issue" ("scanId");
	CREATE TABLE control (stop boolean NOT NULL);
	INSERT INTO control VALUES (false);
	VACUUM ANALYZE;
	CHECKPOINT;
});

# --- clients -----------------------------------------------------------------------------------------

# A session that makes, changes, reads and deletes scans of its own, as an ORM does, until it is told to stop. It prints
# what was acknowledged and how long each statement took.
sub start_client
{
	my ($name) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $text = "\\timing on\n";
	for my $n (1 .. 10000)
	{
		my ($earlier, $gone) = ($n - 2, $n - 7);
		$text .= qq{SELECT cuid(clock_timestamp(), '$name-$n') AS s$n \\gset\n};
		$text .= qq{INSERT INTO "Scan" (id) VALUES (:'s$n') RETURNING 'scan ' || id;\n};
		$text .= qq{INSERT INTO "Evidence" (id, "scanId", n) VALUES (:'s$n' || '-a', :'s$n', $n), (:'s$n' || '-b', :'s$n', $n) RETURNING 'evidence ' || id || ' ' || "scanId";\n};
		$text .= qq{INSERT INTO "Issue" (id, "scanId") VALUES (:'s$n' || '-i', :'s$n') RETURNING 'issue ' || id || ' ' || "scanId";\n};
		$text .= qq{INSERT INTO "Scan" (id) VALUES (:'s$n') ON CONFLICT (id) DO UPDATE SET n = $n RETURNING 'number ' || id || ' ' || n;\n};
		$text .= qq{UPDATE "Scan" SET n = n + 100000 WHERE id = :'s$earlier' RETURNING 'number ' || id || ' ' || n;\n} if $earlier > 0;
		$text .= qq{SELECT count(*) > 1 FROM "Evidence" WHERE "scanId" = :'s$n';\n};
		$text .= qq{DELETE FROM "Scan" WHERE id = :'s$gone' RETURNING 'delete ' || id;\n} if $gone > 0 && $n % 4 == 0;
		$text .= qq{SELECT stop FROM control \\gset\n\\if :stop\n\\q\n\\endif\n};
	}
	PostgreSQL::Test::Utils::append_to_file("$dir/client.sql", $text);
	my $session = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=1', '-f', "$dir/client.sql" ],
		'>', "$dir/out", '2>', "$dir/err");
	return { session => $session, out => "$dir/out", err => "$dir/err", name => $name };
}

# What the clients were told: rows that are there, scans with their number, the others with their scan; scans that are gone.
sub ledger
{
	my (%there, %gone);
	for my $client (@_)
	{
		for (split /\n/, slurp_file($client->{out}))
		{
			if (/^scan (\S+)/) { $there{$1} = 0 }
			elsif (/^number (\S+) (\d+)/) { $there{$1} = $2 }
			elsif (/^(?:evidence|issue) (\S+) (\S+)/) { $there{$1} = $2 }
			elsif (/^delete (\S+)/) { $gone{$1} = 1 }
		}
	}
	for my $id (keys %there)
	{
		delete $there{$id} if $gone{$id} || $gone{ $there{$id} };
	}
	return (\%there, \%gone);
}

# exact: every statement was answered. Otherwise the last of a client may have been done without an answer.
sub check_rows
{
	my ($name, $exact, @clients) = @_;
	my ($there, $gone) = ledger(@clients);
	my (%stored, @twice);
	for (split /\n/, $node->safe_psql('postgres', q{
			SELECT id || ' ' || n FROM "Scan" WHERE id NOT LIKE '%old%' UNION ALL SELECT id || ' ' || "scanId" FROM "Evidence" WHERE id NOT LIKE '%old%'
			UNION ALL SELECT id || ' ' || "scanId" FROM "Issue" WHERE id NOT LIKE '%old%'}))
	{
		my ($id, $value) = split / /;
		push @twice, $id if exists $stored{$id};
		$stored{$id} = $value;
	}
	my @lost = grep { !exists $stored{$_} } keys %$there;
	my @back = grep { exists $stored{$_} } keys %$gone;
	my @other = grep { exists $stored{$_} && $stored{$_} ne $there->{$_} } keys %$there;
	cmp_ok(scalar(keys %$there), '>', 0, "$name: rows were acknowledged (" . keys(%$there) . ')');
	is("@twice", '', "$name: no row is there twice");
	is("@back", '', "$name: no deleted row is back");
	if ($exact)
	{
		is("@lost", '', "$name: no acknowledged row is lost");
		is("@other", '', "$name: each row is as it was acknowledged");
		my @unknown = grep { !exists $there->{$_} } keys %stored;
		is("@unknown", '', "$name: no row came from nowhere");
	}
	else
	{
		# A delete that was not answered takes a scan, two pieces of evidence and an issue.
		cmp_ok(scalar(@lost), '<=', 4 * @clients, "$name: no acknowledged row is lost, but for deletes under way");
		cmp_ok(scalar(@other), '<=', scalar(@clients), "$name: nor changed, but for updates under way");
	}
	is( $node->safe_psql('postgres', q{
			SELECT count(*), sum(n) FROM "Scan" WHERE id LIKE '%old%'}), "$scans|" . $scans * ($scans + 1) / 2, "$name: the old scans are there, whole");
	is( $node->safe_psql('postgres', q{
			SELECT count(*), count(DISTINCT id), sum((details->>'n')::bigint) FROM "Evidence" WHERE id LIKE '%old%'}),
		join('|', 10 * $scans, 10 * $scans, 10 * $scans * ($scans + 1) / 2), "$name: so is their evidence");
	is( $node->safe_psql('postgres', q{
			SELECT count(*) FROM (SELECT "scanId" FROM "Evidence" UNION ALL SELECT "scanId" FROM "Issue") c LEFT JOIN "Scan" s ON s.id = c."scanId" WHERE s.id IS NULL}),
		'0', "$name: there is no orphan");
	return;
}

# --- there and back ------------------------------------------------------------------------------------

# As SQL for psql: what is left over from the last time, then all three become sets; the statements that are the operator's
# to run are run by themselves.
my $validate = q{SELECT format('ALTER TABLE %s VALIDATE CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
	WHERE contype = 'f' AND conparentid = 0 AND NOT convalidated ORDER BY oid \gexec} . "\n";
my $there = join '', map {
	my ($table, $key) = @$_;
	qq{SELECT sql FROM privacy_scan.adopt_table('"$table"', '$key', premake => 2) WHERE state = 'yours' \\gexec\nCALL privacy_scan.run_adoption('"$table"');\n};
} @tables;
my $back = join '', map {
	my ($table) = @$_;
	# Where it is one; and twice, for the first call may be about the index.
	(qq{SELECT u.sql FROM privacy_scan.adoptions a, LATERAL privacy_scan.undo_adoption(a.relation) u
		WHERE a.relation = '"$table"'::regclass AND a.state <> 'preparing' AND u.state = 'yours' \\gexec\n}) x 2;
} reverse @tables;

sub start_adopter
{
	my ($sql) = @_;
	local $ENV{PGAPPNAME} = 'adopter';
	my $dir = PostgreSQL::Test::Utils::tempdir();
	PostgreSQL::Test::Utils::append_to_file("$dir/adopter.sql", "SET client_min_messages = warning;\n$sql");
	return { err => "$dir/err", session => IPC::Run::start([ 'psql', '-XAtq', '-v', 'VERBOSITY=sqlstate', '-d', $node->connstr('postgres'), '-f', "$dir/adopter.sql" ],
		'>', "$dir/out", '2>', "$dir/err") };
}

# Whatever the moment at which it was stopped: each table is there under its name, a set or plain, and nothing beside it.
sub check_catalog
{
	my ($name) = @_;
	is( $node->safe_psql('postgres', q{
			SELECT string_agg(concat(c.relname, ' ', (c.relkind = 'p') = (a.state IS NOT NULL AND a.state <> 'preparing')), ', ' ORDER BY c.relname)
			FROM pg_class c LEFT JOIN privacy_scan.adoptions a ON a.relation = c.oid
			WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace AND c.relname <> 'control'}),
		'Evidence t, Issue t, Scan t', "$name: three tables, as the view says");
	is( $node->safe_psql('postgres', q{SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND connamespace = 'public'::regnamespace AND conrelid::regclass::text ~ '^"(Evidence|Issue)"$'}),
		'2', "$name: both foreign keys");
	return;
}

my $cycle = $validate . $there . $back;
my (@clients, @errors, %stood);
for my $round (1 .. $kills)
{
	my @now = map { start_client("k$round$_") } 1 .. 2;
	my $adopter = start_adopter($cycle x 20);
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'adopter'}) or die 'no adopter';
	usleep(int(rand(2_500_000)));
	if ($round % 5 == 0)
	{
		$node->kill9;
		$_->{session}->finish for $adopter, @now;
		$node->start;
	}
	else
	{
		my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE application_name = 'adopter'}) || die 'no adopter to kill';
		PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $pid);
		$_->{session}->finish for $adopter, @now; # the crash ended them
		$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'the server does not recover';
	}
	push @clients, @now;
	push @errors, grep { /ERROR/ && !/55P03/ } split /\n/, slurp_file($adopter->{err});
	check_catalog("kill $round");
	$stood{ $node->safe_psql('postgres', q{SELECT coalesce(string_agg(concat_ws(' ', relation, state, step), ', ' ORDER BY relation::text), 'plain') FROM privacy_scan.adoptions}) }++;
}
note("after $stood{$_} of the kills: $_") for sort keys %stood;
is("@errors", '', 'no step failed but for a lock');
check_rows('after the kills', 0, @clients);

# --- under load, without kills ---------------------------------------------------------------------------

my $plain = start_adopter($cycle); # from wherever the last kill left it
ok($plain->{session}->finish, 'all is done and undone');
$node->safe_psql('postgres', q{DELETE FROM "Scan" WHERE id NOT LIKE '%old%'});
is($node->safe_psql('postgres', 'SELECT count(*) FROM privacy_scan.adoptions'), '0', 'a new start: three plain tables');

sub under_load
{
	my ($name, $sql) = @_;
	$node->safe_psql('postgres', 'UPDATE control SET stop = false');
	my @load = map { start_client("$name$_") } 1 .. 4;
	$node->poll_query_until('postgres', qq{SELECT count(*) > 100 FROM "Scan" WHERE id LIKE '%$name%'}) or die 'no load';
	my $begun = time;
	my $adopter = start_adopter($sql);
	ok($adopter->{session}->finish, "$name: it came to its end");
	my $took = time - $begun;
	is(slurp_file($adopter->{err}), '', "$name: without an error");
	my $at_end = $node->safe_psql('postgres', q{SELECT count(*) FROM "Scan"});
	$node->poll_query_until('postgres', qq{SELECT count(*) > $at_end + 50 FROM "Scan"}) or die 'no load afterwards';
	$node->safe_psql('postgres', 'UPDATE control SET stop = true');
	$_->{session}->finish for @load;
	is(join('', map { slurp_file($_->{err}) } @load), '', "$name: no statement of a client failed");
	my @times = map { slurp_file($_->{out}) =~ /^Time: ([\d.]+) ms/mg } @load;
	cmp_ok(max(@times), '<', $most_ms, "$name: no client waited long");
	my $held = $node->safe_psql('postgres', q{SELECT coalesce(string_agg(format('%s %s ms, %s tries', relation, round(lock_held_ms::numeric, 1), lock_tries), '; ' ORDER BY relation::text), '-') FROM privacy_scan.adoptions});
	diag(sprintf('%s of %d rows under load took %.1f s; strong locks held: %s; worst of %d statements %.0f ms', $name, $rows, $took, $held, scalar(@times), max(@times)));
	return @load;
}

my @load = under_load('adopting', $there);
check_rows('adopted', 1, @load);
is( $node->safe_psql('postgres', q{SELECT string_agg(concat(relation, ' ', state, ' ', done = total), ', ' ORDER BY relation::text) FROM privacy_scan.adoptions}),
	'"Evidence" adopted t, "Issue" adopted t, "Scan" adopted t', 'three sets');
is( $node->safe_psql('postgres', q{
		SELECT count(*), bool_and(n = 3) FROM (SELECT lower_bound, upper_bound, count(*) AS n FROM privacy_scan.partitions
			WHERE upper_bound IS NOT NULL GROUP BY 1, 2) windows}), '3|t', 'a window is three partitions, with the same bounds');
is( $node->safe_psql('postgres', q{
		WITH root AS (SELECT id, split_part(tableoid::regclass::text, 'Scan', 2) AS part FROM "Scan")
		SELECT count(*) FILTER (WHERE split_part(c.tableoid::regclass::text, 'Evidence', 2) <> root.part) FROM "Evidence" c JOIN root ON root.id = c."scanId"}),
	'0', 'every piece of evidence is in the window of its scan');
$node->safe_psql('postgres', q{INSERT INTO "Scan" (id) VALUES (cuid(now() + interval '40 days', 'old-later')); INSERT INTO "Evidence" (id, "scanId") SELECT 'later', id FROM "Scan" WHERE id LIKE '%old-later'});
is( $node->safe_psql('postgres', q{SELECT count(*) FROM privacy_scan.maintain_partitions()}), '0', 'and kept as such');
$node->safe_psql('postgres', q{DELETE FROM "Scan" WHERE id LIKE '%old-later'});
@load = (@load, under_load('undoing', $back . $validate));
check_rows('undone', 1, @load);
is( $node->safe_psql('postgres', q{SELECT count(*) FROM privacy_scan.adoptions}), '0', 'three plain tables again');
is( $node->safe_psql('postgres', q{SELECT string_agg(concat(conname, ' ', convalidated), ', ' ORDER BY conname) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace}),
	'Evidence_scanId_fkey t, Issue_scanId_fkey t', 'with the foreign keys that they had');
$node->safe_psql('postgres', 'CREATE EXTENSION amcheck');
is( $node->safe_psql('postgres', q{SELECT count(bt_index_check(i.indexrelid, true)) >= 5 FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
		WHERE x.relkind = 'i' AND t.relname ~ '^(Scan|Evidence|Issue)'}), 't', 'their indexes agree with them');

done_testing();
