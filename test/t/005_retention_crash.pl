# The server, or the session that archives, is killed at random moments while families are written and archived.
# After each restart every acknowledged row is there exactly once, live or archived, no live row lacks its root,
# the ledger tells what the archives hold, and retention goes on by itself.

use strict;
use warnings;
use IPC::Run;
use Math::BigInt;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;
use Time::HiRes qw(usleep);

my $rounds = 9;
take_seed();

my $node = new_server('main', 'autovacuum_naptime = 1s', 'restart_after_crash = on');
$node->safe_psql('postgres', q{
	CREATE TABLE "Scan" (id text PRIMARY KEY, status text NOT NULL, "createdAt" timestamp(3) NOT NULL);
	CREATE INDEX ON "Scan" ("createdAt");
	CREATE TABLE "Evidence" (id text, "scanId" text NOT NULL REFERENCES "Scan" ON DELETE CASCADE, details jsonb,
		"createdAt" timestamp(3) NOT NULL, PRIMARY KEY (id, "createdAt")) PARTITION BY RANGE ("createdAt");
	CREATE INDEX ON "Evidence" ("scanId");
	SELECT count(*) FROM privacy_scan.manage_partitions('"Evidence"', 'createdAt', '1 month',
		start => now() - interval '15 months');
	SELECT privacy_scan.set_retention('"Scan"', '365 days', 'createdAt', $$status = 'done'$$);
});

# Scans of a round, half of them expired, with ten rows of evidence each.
sub make_scans
{
	my ($round) = @_;
	$node->safe_psql('postgres', qq{
		INSERT INTO "Scan" SELECT 'r$round-' || n, 'done', now() - (n % 2) * interval '380 days' - n * interval '1 minute'
		FROM generate_series(1, 1000) n;
		INSERT INTO "Evidence" SELECT s.id || '-' || k, s.id, '{"domain": "tracker.example"}', s."createdAt"
		FROM "Scan" s, generate_series(1, 10) k WHERE s.id LIKE 'r$round-%';
		ANALYZE "Scan"});
	return;
}

# A session that adds evidence to any scan of the round, expired ones too, and prints what was acknowledged; some
# scans start running again, which keeps them.
sub write_evidence
{
	my ($round, $writer) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $text = '';
	for my $n (1 .. 20000)
	{
		my $scan = sprintf('r%d-%d', $round, 1 + rand(1000));
		$text .= qq{INSERT INTO "Evidence" VALUES ('w$round-$writer-$n', '$scan', '{}', now()) RETURNING id;\n};
		$text .= qq{UPDATE "Scan" SET status = 'running' WHERE id = '$scan';\n} if $n % 20 == 0;
	}
	PostgreSQL::Test::Utils::append_to_file("$dir/write.sql", $text);
	my $session = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=0', '-f', "$dir/write.sql" ],
		'>', "$dir/out", '2>', "$dir/err");
	return { session => $session, out => "$dir/out" };
}

sub archive_for_ever
{
	my $dir = PostgreSQL::Test::Utils::tempdir();
	PostgreSQL::Test::Utils::append_to_file("$dir/archive.sql",
		qq{CALL privacy_scan.run_retention('"Scan"', max_rows => 300);\n} x 300);
	local $ENV{PGAPPNAME} = 'archiver';
	return IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=0', '-f', "$dir/archive.sql" ],
		'>', "$dir/out", '2>', "$dir/err");
}

my $archiver_pid = q{SELECT pid FROM pg_stat_activity WHERE application_name = 'archiver'};
my %kill = (
	'the server' => sub { $node->stop('immediate'); $node->start },
	'the archiving process' => sub {
		my $pid = $node->safe_psql('postgres', $archiver_pid);
		PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $pid) if $pid;
		await_recovery($node);
	},
	'the archiving session' => sub {
		$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM ($archiver_pid) AS a");
	});

# Before the first batch there is no archive.
sub archived
{
	my ($relation) = @_;
	my $name = qq{public_archive."${relation}_archive"};
	return $node->safe_psql('postgres', qq{SELECT to_regclass('$name') IS NOT NULL}) eq 't'
	  ? "SELECT id FROM $name" : 'SELECT NULL::text WHERE false';
}

sub check_families
{
	my ($name, @writers) = @_;
	my ($evidence, $scan) = (archived('Evidence'), archived('Scan'));
	my %stored;
	$stored{$_}++ for split /\n/, $node->safe_psql('postgres', qq{SELECT id FROM "Evidence" UNION ALL $evidence});
	my %acknowledged;
	for my $writer (@writers)
	{
		$acknowledged{$_}++ for grep { /^w\d+-\d+-\d+$/ } split /\n/, slurp_file($writer->{out});
	}
	my @lost = grep { !$stored{$_} } keys %acknowledged;
	my @doubled = grep { $stored{$_} > 1 } keys %stored;
	cmp_ok(scalar(keys %acknowledged), '>', 0, "$name: rows were acknowledged");
	is("@lost", '', "$name: no acknowledged row is lost (of " . keys(%acknowledged) . ')');
	is("@doubled", '', "$name: no row is there twice");
	is( $node->safe_psql('postgres', qq{SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM "Scan" UNION ALL $scan) AS s}),
		$node->safe_psql('postgres', q{SELECT n, n FROM made AS m(n)}), "$name: each scan is there once");
	is( $node->safe_psql('postgres', q{SELECT count(*) FROM "Evidence" e WHERE NOT EXISTS
		(SELECT FROM "Scan" s WHERE s.id = e."scanId")}), '0', "$name: no orphan");
	is( $node->safe_psql('postgres', qq{SELECT count(*) FROM ($evidence) AS a}),
		$node->safe_psql('postgres', q{SELECT coalesce(sum(rows), 0) FROM privacy_scan.archives WHERE relation LIKE '%Evidence%'}),
		"$name: the ledger counts what the archive holds");
	return;
}

$node->safe_psql('postgres', 'CREATE TABLE made (n int); INSERT INTO made VALUES (0)');
my @writers;
for my $round (1 .. $rounds)
{
	my $what = (sort keys %kill)[ $round % 3 ];
	my $name = "round $round, $what killed";
	make_scans($round);
	$node->safe_psql('postgres', 'UPDATE made SET n = n + 1000');
	my @now = map { write_evidence($round, $_) } 1 .. 2;
	push @writers, @now;
	my $archiver = archive_for_ever();
	usleep(150_000 + rand(500_000));
	$kill{$what}->();
	$_->{session}->signal('INT') for @now;
	$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()});
	$_->{session}->finish for @now;
	$archiver->finish;

	check_families($name, @writers);
	$node->safe_psql('postgres', q{CALL privacy_scan.run_retention('"Scan"')});
	is( $node->safe_psql('postgres', q{SELECT count(*) FROM "Scan"
		WHERE status = 'done' AND "createdAt" < now() - interval '366 days'}), '0', "$name: retention goes on");
	check_families("$name, archived", @writers);
}

# The digests of all batches add up, modulo 2^128, to that of the whole archive.
my $sum = Math::BigInt->bzero;
$sum->badd(Math::BigInt->from_hex($_)) for split /\n/,
  $node->safe_psql('postgres', q{SELECT digest FROM privacy_scan.archives WHERE relation LIKE '%Evidence%'});
$sum->bmod(Math::BigInt->new(2)->bpow(128));
is( sprintf('%032s', $sum->to_hex),
	$node->safe_psql('postgres', q{SELECT (privacy_scan.row_digest(a.*)).digest
		FROM public_archive."Evidence_archive" AS a}), 'the digests of the batches add up to that of the archive');

done_testing();
