#!/usr/bin/perl
# Writes a scan store's history as a psql script of COPY blocks, one transaction a batch of scans,
# each followed by an \echo line "batch SCANS EVIDENCE ISSUES" for the progress line.
#
#   generate.pl --now=EPOCH --start=EPOCH --scans=N [--part=I/K] | psql
#
# The same arguments give the same bytes: random numbers are seeded per batch.  --part splits the
# batches into K contiguous parts that can be loaded side by side.
use strict;
use warnings;

my %arg = (scans => 20_400, part => '1/1', now => undef, start => undef);
for (@ARGV)
{
	/^--(\w+)=(.+)$/ && exists $arg{$1} or die "unknown argument: $_\n";
	$arg{$1} = $2;
}
defined $arg{now} && defined $arg{start} or die "--now and --start are needed\n";

use constant {
	BATCH => 200,         # scans in a transaction
	EVIDENCE => 50,       # of a scan
	ISSUES => 10,         # of a scan
	RECORDING_EVERY => 500,  # one evidence row in so many is a recording of all that a page loaded
};

# --- numbers, times, ids --------------------------------------------------------------------------

sub any { return $_[ int(rand(@_)) ]; }

# The text of a timestamp(3), in UTC as Prisma stores it.
sub stamp
{
	my $t = shift;
	my ($s, $m, $h, $day, $month, $year) = gmtime($t);
	return sprintf '%04d-%02d-%02d %02d:%02d:%02d.%03d',
	  $year + 1900, $month + 1, $day, $h, $m, $s, ($t - int($t)) * 1000;
}

my @digit = ('0' .. '9', 'a' .. 'z');
my @pair = map { my $a = $_; map { $a . $_ } @digit } @digit;

# Four base 36 digits.
sub base36 { my $n = shift; return $pair[ $n / 1296 % 1296 ] . $pair[ $n % 1296 ]; }

# As cuid(): "c", milliseconds, a counter, the host, random.  Ids of one batch begin alike, the
# counter makes them unique.
my $counter = 0;

sub cuid
{
	my $ms = int($_[0] * 1000);
	my $low = $ms % 1_679_616;
	return 'c' . base36(int($ms / 1_679_616)) . base36($low) . base36($counter++) . 'h1q7'
	  . base36(rand 1_679_616) . base36(rand 1_679_616);
}

# --- what documents are made of ---------------------------------------------------------------------

my @vendor = map { ("metrics-$_.example", "cdn.adnet-$_.example", "pixel-$_.example") } 1 .. 20;
my @company = map { "$_ Ltd" } qw(Adnet Metrica Pixelgrid Taghub Audiencio Clickwise Heatline Beaconry);
my @category = qw(analytics advertising social session-replay fingerprinting tag-manager consent cdn);
my @country = qw(DE FR IE NL US GB SE PL ES IT);
my @cookie = qw(_ga _gid _fbx uid sessionId consent_v2 cto_bundle _hjid IDE NID ajs_anonymous_id optout);
my @path = qw(/collect /pixel.gif /js/tag.js /v2/events /sync /beacon /gtm.js /api/identify);
my @article = ('GDPR Art. 6', 'GDPR Art. 7', 'GDPR Art. 13', 'GDPR Art. 44', 'ePrivacy Art. 5(3)');
my @agent = map {
	"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/$_.0.0.0 Safari/537.36"
} 108 .. 124;
my @problem = (
	'Tracker loaded before consent', 'Cookie lives longer than stated',
	'Transfer to a third country', 'Policy names no controller',
	'Fingerprinting script', 'Consent cannot be withdrawn');

# Policies speak like this; a document takes a run of sentences.
my @sentence = map {
	my $who = $_;
	map { "$who $_" } (
		'collects the address of your device, the pages you visit and the time you spend on each of them.',
		'may share identifiers with partners who combine them with information obtained elsewhere.',
		'retains records of consent for as long as a supervisory authority could ask for them.',
		'relies on legitimate interest where the law of your country does not require consent.',
		'transfers data to recipients outside the European Economic Area under standard contractual clauses.',
		'uses cookies, local storage and similar techniques to recognise returning visitors.',
		'answers requests for access, rectification, erasure and portability within one month.',
		'will not use your data for automated decisions which have legal effect on you.')
} ('The operator', 'Our advertising partner', 'Each affiliate', 'A processor on our behalf', 'This site', 'The vendor');

sub excerpt
{
	my $bytes = shift;
	my $text = '';
	$text .= $sentence[ rand @sentence ] . (rand() < 0.1 ? '\\\\n' : ' ') while length($text) < $bytes;
	return substr($text, 0, $bytes) =~ s/\\+n?$//r;
}

sub token { return sprintf '%08x%08x', rand 4294967296, rand 4294967296; }

# --- documents, one builder a kind: title and JSON ------------------------------------------------------
# Text for COPY, therefore a backslash is doubled.

sub bool { return rand() < 0.5 ? 'true' : 'false'; }

sub tracker
{
	my $host = any(@vendor);
	return ("Tracker $host", sprintf '{"tracker":{"domain":"%s","company":"%s","category":"%s","confidence":0.%d},'
		. '"request":{"url":"https://%s%s?tid=%s&dl=%%2F&z=%d","method":"GET","status":200,"type":"script","bytes":%d},'
		. '"initiator":"https://shop-%d.example/assets/app.js","beforeConsent":%s,"country":"%s","rule":"list-%d"}',
		$host, any(@company), any(@category), rand(90) + 10, $host, any(@path), token(), rand(1e9), rand(90_000),
		rand(9000), bool(), any(@country), rand(70_000));
}

sub cookie
{
	my ($name, $host) = (any(@cookie), any(@vendor));
	return ("Cookie $name", sprintf '{"cookie":{"name":"%s","domain":".%s","path":"/","value":"%s%s","maxAgeDays":%d,'
		. '"secure":%s,"httpOnly":false,"sameSite":"%s"},"party":"third","purpose":"%s",'
		. '"setBy":"https://%s%s","seenOn":["https://shop-%d.example/","https://shop-%d.example/cart"],"beforeConsent":%s}',
		$name, $host, token(), token(), rand(730), bool(), any('Lax', 'None', 'Strict'), any(@category),
		$host, any(@path), rand(9000), rand(9000), bool());
}

sub request
{
	my $host = any(@vendor);
	my $more = join '', map { sprintf ',"x-trace-%d":"%s"', $_, token() } 1 .. rand 8;
	return ("Request to $host", sprintf '{"request":{"url":"https://%s%s","method":"POST","headers":{"user-agent":"%s",'
		. '"accept":"*/*","accept-language":"en-GB,en;q=0.9","referer":"https://shop-%d.example/",'
		. '"cookie":"uid=%s; s=%s","sec-fetch-mode":"cors","sec-fetch-site":"cross-site"}},'
		. '"response":{"status":%d,"headers":{"content-type":"application/json","cache-control":"no-store",'
		. '"set-cookie":"uid=%s; Max-Age=31536000; Secure"%s}},"timing":{"dns":%d,"connect":%d,"total":%d}}',
		$host, any(@path), any(@agent), rand(9000), token(), token(), any(200, 204, 302),
		token(), $more, rand(40), rand(90), rand(900));
}

sub third_party
{
	my $host = any(@vendor);
	return ("Third party $host", sprintf '{"thirdParty":{"domain":"%s","owner":"%s","country":"%s","adequacy":%s},'
		. '"requests":%d,"cookies":%d,"bytes":%d,"purposes":["%s","%s"],"seenOn":["https://shop-%d.example/"]}',
		$host, any(@company), any(@country), bool(), rand(40) + 1, rand(9), rand(900_000),
		any(@category), any(@category), rand(9000));
}

# Most excerpts are a section, some a whole policy.
sub policy
{
	return ('Policy excerpt', sprintf '{"domain":"shop-%d.example","score":%d,"policy":{"url":"/privacy","language":"en",'
		. '"section":"%s"},"excerpt":"%s"}',
		rand(9000), rand(100), any(@category), excerpt(900 + 19_000 * rand()**2.5));
}

# 40 kB on average: compressed, and kept in chunks apart from its row.
sub recording
{
	my $requests = join ',', map {
		sprintf '{"url":"https://%s%s?tid=%s","status":%d,"type":"%s","cookie":"uid=%s","referer":"https://shop-%d.example/","bytes":%d,"ms":%d}',
		  any(@vendor), any(@path), token(), any(200, 204, 302), any('script', 'image', 'xhr', 'fetch'), token(), rand(9000), rand(90_000), rand 900
	} 1 .. 100 + rand 200;
	return ('Recording', sprintf '{"domain":"shop-%d.example","score":%d,"requests":[%s],"durationMs":%d}',
		rand(9000), rand(100), $requests, rand 30_000);
}

my @kind = (
	(map { [ 'tracker', \&tracker ] } 1 .. 30),
	(map { [ 'cookie', \&cookie ] } 1 .. 32),
	(map { [ 'request', \&request ] } 1 .. 20),
	(map { [ 'third_party', \&third_party ] } 1 .. 13),
	(map { [ 'policy', \&policy ] } 1 .. 5));

# --- rows -------------------------------------------------------------------------------------------

# The application grows: scans become denser towards now.
sub scan_time { return $arg{start} + ($arg{now} - 60 - $arg{start}) * ($_[0] / $arg{scans})**0.8; }

# What a scan ends as; a few hang for ever, as they do, and of these a few have found something.
sub scan_status
{
	my $k = shift;
	return 'queued' if $k % 200 == 7;
	return 'running' if $k % 100 == 3;
	return $k % 12 == 5 ? 'failed' : 'done';
}

sub has_evidence
{
	my ($k, $status) = @_;
	return $status eq 'done' || $status eq 'failed' || $k % 4000 == 3;
}

sub scan_row
{
	my ($id, $k, $t, $status) = @_;
	my $end = $status eq 'done' || $status eq 'failed' ? stamp($t + 20 + rand 60) : '\N';
	return sprintf "%s\thttps://shop-%d.example/\t%s\t%s\t%s\t"
	  . '{"region":"%s","userAgent":"%s","engine":"4.%d.0","options":{"depth":3,"consent":"reject"},"requests":%d}' . "\n",
	  $id, $k % 9000, $status, stamp($t), $end, any(@country), any(@agent), $k / 1000, rand 400;
}

my (@rows, @ids);

sub evidence_rows
{
	my ($scan, $k, $t) = @_;
	@ids = ();
	for my $i (0 .. EVIDENCE - 1)
	{
		my $at = $t + 1 + $i * 0.35;
		my ($name, $build) = rand(RECORDING_EVERY) < 1 ? ('recording', \&recording) : @{ $kind[ rand @kind ] };
		my ($title, $details) = $build->();
		push @ids, cuid($at);
		push @rows, join("\t", $ids[-1], $scan, $name, int(rand 5), $title, $details,
			stamp($at)) . "\n";
	}
}

sub issue_rows
{
	my ($scan, $t) = @_;
	return join '', map {
		my $at = $t + 19 + $_ * 0.01;
		sprintf "%s\t%s\t%s\t%d\t" . '[{"evidence":"%s","article":"%s"},{"evidence":"%s"}]' . "\t%s\n",
		  cuid($at), $scan, any(@problem), rand 5, any(@ids), any(@article), any(@ids), stamp($at)
	} 1 .. ISSUES;
}

# --- batches ------------------------------------------------------------------------------------------

sub copy
{
	my ($table, $columns) = splice @_, 0, 2;
	print qq{COPY "$table" ($columns) FROM STDIN;\n}, @_, "\\.\n";
}

sub batch
{
	my ($first, $last) = @_;
	srand(20_240_229 + $first);
	my ($scans, $issues, $with) = ('', '', 0);
	@rows = ();
	for my $k ($first .. $last)
	{
		my ($t, $status) = (scan_time($k), scan_status($k));
		my $id = cuid($t);
		$scans .= scan_row($id, $k, $t, $status);
		next unless has_evidence($k, $status);
		$with++;
		evidence_rows($id, $k, $t);
		$issues .= issue_rows($id, $t);
	}
	print "BEGIN;\n";
	copy('Scan', '"id", "normalizedInput", "status", "createdAt", "finishedAt", "meta"', $scans);
	copy('Evidence', '"id", "scanId", "kind", "severity", "title", "details", "createdAt"', @rows);
	copy('Issue', '"id", "scanId", "title", "severity", "references", "createdAt"', $issues);
	printf "COMMIT;\n\\echo batch %d %d %d\n", $last - $first + 1, $with * EVIDENCE, $with * ISSUES;
}

my ($part, $parts) = $arg{part} =~ m{^(\d+)/(\d+)$} or die "--part=I/K\n";
my $batches = int(($arg{scans} + BATCH - 1) / BATCH);
for my $b (int($batches * ($part - 1) / $parts) .. int($batches * $part / $parts) - 1)
{
	my $last = ($b + 1) * BATCH - 1;
	batch($b * BATCH, $last < $arg{scans} ? $last : $arg{scans} - 1);
}
