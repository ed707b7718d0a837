# Windows of whole families, root and all: the session that takes one is killed at each of its steps, and the server at random moments
# while an application writes. Afterwards every row is there exactly once, live or archived, no row lacks its root, the archives are
# as the ledger says, and the next run takes what is left.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;
use Time::HiRes qw(usleep);

take_seed();

my $node = new_server('main', 'restart_after_crash = on', 'privacy_scan.retention_whole_rows = 50', 'autovacuum = off');
make_killing($node);
$node->safe_psql('postgres', q{
	CREATE TABLE "Scan" (id text COLLATE "C" PRIMARY KEY, status text NOT NULL) PARTITION BY RANGE (id);
	CREATE TABLE "Evidence" (id text, "scanId" text COLLATE "C" NOT NULL REFERENCES "Scan" ON DELETE CASCADE, details jsonb,
		PRIMARY KEY ("scanId", id)) PARTITION BY RANGE ("scanId");
	CREATE TABLE "Issue" (LIKE "Evidence" INCLUDING ALL, FOREIGN KEY ("scanId") REFERENCES "Scan" ON DELETE CASCADE)
		PARTITION BY RANGE ("scanId");
	CREATE TABLE "Note" (LIKE "Evidence" INCLUDING ALL, FOREIGN KEY ("scanId") REFERENCES "Scan" ON DELETE CASCADE);
	SELECT count(*) FROM (VALUES ('"Scan"', 'id'), ('"Evidence"', 'scanId'), ('"Issue"', 'scanId')) AS s (name, key),
		LATERAL privacy_scan.manage_partitions(name::regclass, key::name, '1 month', start => now() - interval '15 months', key_kind => 'cuid');
	CREATE TABLE scans (round int, n int, id text, PRIMARY KEY (round, n));
	SELECT privacy_scan.set_retention('"Scan"', '90 days', 'id', 'public.is_done(status)');
	SELECT FROM privacy_scan.apply_retention('"Scan"', '2020-01-01', dry_run => false);
});

my @members = qw(Scan Evidence Issue Note);
my %made = map { $_ => 0 } @members;

# Scans of 14 months, six rows of evidence each, two issues; of every fifth a note. The partitions that went are made again.
sub make_scans
{
	my ($round) = @_;
	$node->safe_psql('postgres', qq{
		SELECT count(*) FROM unnest(ARRAY['"Scan"', '"Evidence"', '"Issue"']::regclass[]) AS r,
			LATERAL privacy_scan.ensure_partitions(r, now() - interval '15 months', now());
		INSERT INTO scans SELECT $round, n, privacy_scan.key_at('cuid', now() - n * interval '1 day' - $round * interval '1 hour') || lpad(n::text, 16, '0')
			FROM generate_series(1, 420) n;
		INSERT INTO "Scan" SELECT id, 'done' FROM scans WHERE round = $round;
		INSERT INTO "Evidence" SELECT 'r$round-' || n || '-' || k, id, '{}' FROM scans, generate_series(1, 6) k WHERE round = $round;
		INSERT INTO "Issue" SELECT 'r$round-' || n || '-' || k, id, '{}' FROM scans, generate_series(1, 2) k WHERE round = $round;
		INSERT INTO "Note" SELECT 'r$round-' || n, id, '{}' FROM scans WHERE round = $round AND n % 5 = 0 AND round > 0});
	my %number = (Scan => 420, Evidence => 2520, Issue => 840, Note => $round ? 84 : 0);
	$made{$_} += $number{$_} for @members;
	$node->safe_psql('postgres', 'VACUUM ANALYZE');
	return;
}

my %acknowledged;

sub check_rows
{
	my ($name) = @_;
	my %stored;
	for my $member (@members)
	{
		my @ids = split /\n/, $node->safe_psql('postgres', qq{SELECT id FROM "$member" UNION ALL SELECT id FROM public_archive."${member}_archive"});
		my %seen;
		$seen{$_}++ for @ids;
		is(scalar(grep { $seen{$_} > 1 } keys %seen), 0, "$name: no row of $member is there twice");
		is(scalar(grep { !/^w/ } keys %seen), $made{$member}, "$name: all rows of $member are there");
		@stored{@ids} = ();
	}
	my @lost = grep { !exists $stored{$_} } keys %acknowledged;
	is("@lost", '', "$name: no acknowledged row is lost (of " . keys(%acknowledged) . ')');
	is( $node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT "scanId" FROM "Evidence" UNION ALL SELECT "scanId" FROM "Issue"
		UNION ALL SELECT "scanId" FROM "Note") c WHERE NOT EXISTS (SELECT FROM "Scan" s WHERE s.id = c."scanId")}), '0', "$name: no orphan");
	is($node->safe_psql('postgres', 'SELECT archive, leaf, state, detail FROM privacy_scan.check_archives()'), '', "$name: the archives are as the ledger says");
	return;
}

# Windows that went whole: by the root's partitions.
sub windows
{
	return $node->safe_psql('postgres', q{SELECT count(leaf) FROM privacy_scan.archives WHERE relation LIKE '%Scan%'});
}

# The last partition with expired scans goes row by row, and the one that everything began in may.
sub check_all_went
{
	my ($name) = @_;
	is( $node->safe_psql('postgres', q{SELECT count(*) FROM "Scan" WHERE status = 'done' AND privacy_scan.key_instant('cuid', id) < now() - interval '91 days'}),
		'0', "$name: all that had expired went");
	return;
}

# Without notes no root is locked. Three partitions a window, three commands each.
make_scans(0);
for my $step ('looked', 1, 3, 6, 8, 9, 10)
{
	my $before = windows();
	my ($status, $err) = run_until($node, $step);
	like($err, qr/server closed the connection|terminat/, "killed at step $step");
	is(windows() - $before, $step eq '10' ? 1 : 0, "step $step: what was committed is there, and nothing else");
}
check_rows('killed at each step');
my ($status) = run_until($node, 'never');
is($status, 0, 'the next run goes on by itself');
cmp_ok(windows(), '>', 7, 'and takes whole windows');
check_all_went('after it');
check_rows('after it');

# An application that adds evidence and notes to any scan, old ones' too, and takes some up again.
sub write_evidence
{
	my ($round, $writer) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $text = '';
	for my $n (1 .. 5000)
	{
		my $scan = "FROM scans WHERE round = $round AND n = " . (1 + int(rand(420)));
		my $table = $n % 4 ? 'Evidence' : 'Note';
		$text .= qq{INSERT INTO "$table" SELECT 'w$round-$writer-$n', id, '{}' $scan RETURNING id;\n};
		$text .= qq{UPDATE "Scan" SET status = 'running' WHERE id = (SELECT id $scan);\n} if $n % 100 == 0;
		$text .= qq{UPDATE "Evidence" SET details = '[]' WHERE "scanId" = (SELECT id $scan);\n} if $n % 40 == 0;
	}
	PostgreSQL::Test::Utils::append_to_file("$dir/write.sql", $text);
	my $session = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=0', '-f', "$dir/write.sql" ],
		'>', "$dir/out", '2>', "$dir/err");
	return { session => $session, out => "$dir/out" };
}

my $before = windows();
for my $round (1 .. 3)
{
	make_scans($round);
	my @writers = map { write_evidence($round, $_) } 1 .. 2;
	my $archiver = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), map { ('-c', q{CALL privacy_scan.run_retention('"Scan"')}) } 1 .. 50 ],
		'>', '/dev/null', '2>', '/dev/null');
	usleep(100_000 + rand(900_000));
	$node->stop('immediate');
	$node->start;
	$_->finish for $archiver, map { $_->{session} } @writers;
	$acknowledged{$_}++ for grep { /^w\d+-\d+-\d+$/ } map { split /\n/, slurp_file($_->{out}) } @writers;
	check_rows("round $round");
	$node->safe_psql('postgres', q{CALL privacy_scan.run_retention('"Scan"')});
	check_all_went("round $round");
	check_rows("round $round, archived");
}
cmp_ok(windows(), '>', $before, 'windows went whole with notes, too');

done_testing();
