# Partitions that go into the archive as a whole: the session that takes them is killed at each of its steps, and the server
# at random moments while an application writes. Afterwards every row is there exactly once, live or archived, no live row
# lacks its root, the ledger tells what the archives hold, and retention goes on by itself.

use strict;
use warnings;
use IPC::Run;
use Math::BigInt;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;
use Time::HiRes qw(usleep);

take_seed();

my $node = new_server('main', 'restart_after_crash = on', 'privacy_scan.retention_whole_rows = 100');
make_killing($node);
$node->safe_psql('postgres', q{
	CREATE TABLE "Scan" (id text PRIMARY KEY, status text NOT NULL, "createdAt" timestamp(3) NOT NULL);
	CREATE INDEX ON "Scan" ("createdAt");
	CREATE TABLE "Evidence" (id text, "scanId" text NOT NULL REFERENCES "Scan" ON DELETE CASCADE, details jsonb,
		"createdAt" timestamp(3) NOT NULL, PRIMARY KEY (id, "createdAt")) PARTITION BY RANGE ("createdAt");
	CREATE TABLE "Issue" (LIKE "Evidence" INCLUDING ALL, FOREIGN KEY ("scanId") REFERENCES "Scan" ON DELETE CASCADE)
		PARTITION BY RANGE ("createdAt");
	CREATE INDEX ON "Evidence" ("scanId");
	CREATE INDEX ON "Issue" ("scanId");
	SELECT count(*) FROM unnest(ARRAY['"Evidence"', '"Issue"']::regclass[]) AS r,
		LATERAL privacy_scan.manage_partitions(r, 'createdAt', '1 month', start => now() - interval '25 months');
	SELECT privacy_scan.set_retention('"Scan"', '365 days', 'createdAt', 'public.is_done(status)');
	CREATE TABLE made (n int);
	INSERT INTO made VALUES (0);
});

# Scans of two years, twelve rows of evidence and four issues each, some after the end of the scan's month.
sub make_scans
{
	my ($round) = @_;
	$node->safe_psql('postgres', qq{
		INSERT INTO "Scan" SELECT 'r$round-' || n, 'done', now() - n * interval '1 day' FROM generate_series(1, 720) n;
		INSERT INTO "Evidence" SELECT s.id || '-' || k, s.id, '{"domain": "tracker.example"}',
			least(s."createdAt" + k * interval '1 hour', now()) FROM "Scan" s, generate_series(1, 12) k WHERE s.id LIKE 'r$round-%';
		INSERT INTO "Issue" SELECT s.id || '-' || k, s.id, '{}', s."createdAt" FROM "Scan" s, generate_series(1, 4) k
			WHERE s.id LIKE 'r$round-%';
		UPDATE made SET n = n + 720});
	return;
}

sub archived
{
	my ($relation) = @_;
	my $name = qq{public_archive."${relation}_archive"};
	return $node->safe_psql('postgres', qq{SELECT to_regclass('$name') IS NOT NULL}) eq 't'
	  ? "SELECT id FROM $name" : q{SELECT NULL::text WHERE false};
}

my %acknowledged;

sub check_rows
{
	my ($name) = @_;
	my ($evidence, $issue, $scan) = map { archived($_) } qw(Evidence Issue Scan);
	my %stored;
	$stored{$_}++ for split /\n/, $node->safe_psql('postgres', qq{SELECT id FROM "Evidence" UNION ALL $evidence});
	my @lost = grep { !$stored{$_} } keys %acknowledged;
	my @doubled = grep { $stored{$_} > 1 } keys %stored;
	is("@lost", '', "$name: no acknowledged row is lost (of " . keys(%acknowledged) . ')');
	is("@doubled", '', "$name: no row is there twice");
	is( $node->safe_psql('postgres', qq{SELECT count(*) - 12 * (SELECT n FROM made), count(DISTINCT id) - 12 * (SELECT n FROM made)
			FROM (SELECT id FROM "Evidence" UNION ALL $evidence) e WHERE id LIKE 'r%'}), '0|0',
		"$name: the evidence made is there once");
	is( $node->safe_psql('postgres', qq{SELECT count(*) - 4 * (SELECT n FROM made), count(DISTINCT id) - 4 * (SELECT n FROM made)
			FROM (SELECT id FROM "Issue" UNION ALL $issue) i}), '0|0', "$name: so are the issues");
	is( $node->safe_psql('postgres', qq{SELECT count(*) - (SELECT n FROM made), count(DISTINCT id) - (SELECT n FROM made)
			FROM (SELECT id FROM "Scan" UNION ALL $scan) s}), '0|0', "$name: so are the scans");
	is( $node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT "scanId" FROM "Evidence" UNION ALL SELECT "scanId" FROM "Issue") c
		WHERE NOT EXISTS (SELECT FROM "Scan" s WHERE s.id = c."scanId")}), '0', "$name: no orphan");
	is($node->safe_psql('postgres', 'SELECT archive, leaf, state FROM privacy_scan.check_archives()'), '', "$name: the archives are as the ledger says");
	is( $node->safe_psql('postgres', qq{SELECT count(*) FROM ($evidence) AS a}),
		$node->safe_psql('postgres', q{SELECT coalesce(sum(rows), 0) FROM privacy_scan.archives WHERE relation LIKE '%Evidence%'}),
		"$name: the ledger counts what the archive holds");
	return;
}

sub whole_leaves
{
	return $node->safe_psql('postgres', 'SELECT count(leaf) FROM privacy_scan.archives');
}

make_scans(0);
$node->safe_psql('postgres', 'VACUUM ANALYZE');
check_rows('before');

# The archives are made by the first run, which takes commands on tables, too; make them now.
$node->safe_psql('postgres', q{SELECT FROM privacy_scan.apply_retention('"Scan"', '2020-01-01', dry_run => false)});
# Two partitions a window, three commands each: all steps of the first, and, it being committed, of the second.
for my $step ('looked', 1 .. 7)
{
	my $before = whole_leaves();
	my ($status, $err) = run_until($node, $step);
	like($err, qr/server closed the connection|terminat/, "killed at step $step");
	my $committed = $step =~ /\d/ && $step > 6 ? 2 : 0;
	is(whole_leaves() - $before, $committed, "step $step: what was committed is there, and nothing else");
	check_rows("step $step");
}

# Of the next two partitions one scan is running: its rows stay, in tables that take the partitions' place.
$node->safe_psql('postgres', q{UPDATE "Scan" SET status = 'running' WHERE id =
	(SELECT id FROM "Scan" WHERE "createdAt" > (SELECT min("createdAt") + interval '10 days' FROM "Evidence") ORDER BY "createdAt" LIMIT 1)});
# Six commands as before, and five for each of these tables: the last is after the commit. DEFAULT isn't read through under the locks.
for my $step (9, 13, 17)
{
	my $before = whole_leaves();
	my ($status, $err) = run_until($node, $step);
	is(whole_leaves() - $before, $step == 17 ? 2 : 0, "killed at step $step, with rows that stay");
	like($err, qr/default partition "Evidence_default" is implied by existing constraints/, 'DEFAULT is not read') if $step == 17;
}
check_rows('killed with rows that stay');
is($node->safe_psql('postgres', q{SELECT count(*) FROM "Evidence" WHERE "scanId" IN (SELECT id FROM "Scan" WHERE status = 'running')}), '12', 'they stay');
my ($status) = run_until($node, 'never');
is($status, 0, 'the next run goes on by itself');
cmp_ok(whole_leaves(), '>', 4, 'and takes whole partitions');
check_rows('after it');
is( $node->safe_psql('postgres', q{SELECT count(*) FROM "Scan" WHERE "createdAt" < now() - interval '366 days'}), '1', 'all that had expired went');

# The digests of all batches and partitions add up, modulo 2^128, to that of the whole archive.
sub check_digest
{
	my $sum = Math::BigInt->bzero;
	$sum->badd(Math::BigInt->from_hex($_)) for split /\n/,
	  $node->safe_psql('postgres', q{SELECT digest FROM privacy_scan.archives WHERE relation LIKE '%Evidence%'});
	$sum->bmod(Math::BigInt->new(2)->bpow(128));
	is( sprintf('%032s', $sum->to_hex),
		$node->safe_psql('postgres', q{SELECT (privacy_scan.row_digest(a.*)).digest FROM public_archive."Evidence_archive" AS a}),
		'the digests add up to that of the archive');
	return;
}
check_digest();

# An application that adds evidence to any scan, old partitions' too, takes some up again, and reads.
sub write_evidence
{
	my ($round, $writer) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $text = '';
	for my $n (1 .. 5000)
	{
		my $scan = sprintf('r%d-%d', $round, 1 + rand(720));
		my $at = $n % 3 ? 'now()' : qq{coalesce((SELECT "createdAt" FROM "Scan" WHERE id = '$scan'), now())};
		$text .= qq{INSERT INTO "Evidence" VALUES ('w$round-$writer-$n', '$scan', '{}', $at) RETURNING id;\n};
		$text .= qq{UPDATE "Scan" SET status = 'running' WHERE id = '$scan';\n} if $n % 50 == 0;
		$text .= qq{UPDATE "Evidence" SET details = '[]' WHERE "scanId" = '$scan';\n} if $n % 40 == 0;
	}
	PostgreSQL::Test::Utils::append_to_file("$dir/write.sql", $text);
	my $session = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=0', '-f', "$dir/write.sql" ],
		'>', "$dir/out", '2>', "$dir/err");
	return { session => $session, out => "$dir/out" };
}

sub take_for_ever
{
	my $dir = PostgreSQL::Test::Utils::tempdir();
	PostgreSQL::Test::Utils::append_to_file("$dir/take.sql", qq{CALL privacy_scan.run_retention('"Scan"');\n} x 100);
	local $ENV{PGAPPNAME} = 'archiver';
	return IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=0', '-f', "$dir/take.sql" ],
		'>', "$dir/out", '2>', "$dir/err");
}

my $whole = whole_leaves();
for my $round (1 .. 3)
{
	my $name = "round $round";
	$node->safe_psql('postgres', q{SELECT count(*) FROM unnest(ARRAY['"Evidence"', '"Issue"']::regclass[]) AS r,
		LATERAL privacy_scan.ensure_partitions(r, now() - interval '25 months', now())});
	make_scans($round);
	$node->safe_psql('postgres', 'VACUUM ANALYZE');
	my @writers = map { write_evidence($round, $_) } 1 .. 2;
	my $archiver = take_for_ever();
	usleep(100_000 + rand(1_200_000));
	if ($round % 2) { $node->stop('immediate'); $node->start; }
	else
	{
		my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE application_name = 'archiver'});
		PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $pid) if $pid;
		await_recovery($node);
	}
	$_->{session}->signal('INT') for @writers;
	$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()});
	$_->{session}->finish for @writers;
	$archiver->finish;
	for my $writer (@writers)
	{
		$acknowledged{$_}++ for grep { /^w\d+-\d+-\d+$/ } split /\n/, slurp_file($writer->{out});
	}
	check_rows($name);
	$node->safe_psql('postgres', q{CALL privacy_scan.run_retention('"Scan"')});
	is( $node->safe_psql('postgres', q{SELECT count(*) FROM "Scan" WHERE status = 'done' AND "createdAt" < now() - interval '366 days'}), '0',
		"$name: retention goes on");
	check_rows("$name, archived");
}
cmp_ok(whole_leaves(), '>', $whole, 'partitions went whole beside the writers');
check_digest();

done_testing();
