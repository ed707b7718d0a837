#!/usr/bin/perl
# Writes documents as the evidence of a scan store has them, one JSON text a line, as COPY reads it.
#
#   documents.pl --rows=N --sizes=BYTES[,BYTES...] [--shapes=K] [--root=object|array]
#
# A size is that of the jsonb, uncompressed; the documents are a few bytes above it. Where there are several
# sizes the rows have them in a random order; likewise the shapes, 1 to 4 sets of keys. In every shape "domain" is
# an early key, "scannedAt" and "policyText" are in the last tenth of a document from 2 KB on, and "policyText"
# ends it. The same arguments give the same bytes.
use strict;
use warnings;

my %arg = (rows => undef, sizes => undef, shapes => 1, root => 'object');
for (@ARGV)
{
	/^--(\w+)=(.+)$/ && exists $arg{$1} or die "unknown argument: $_\n";
	$arg{$1} = $2;
}
defined $arg{rows} && defined $arg{sizes} or die "--rows and --sizes are needed\n";
my @sizes = split /,/, $arg{sizes};

# The share of a document that is there before "scannedAt".
use constant BEFORE_LATE => 0.925;

# --- what documents are made of -------------------------------------------------------------------

sub any { return $_[ rand @_ ]; }
sub token { return sprintf '%08x%08x', rand 4294967296, rand 4294967296; }
sub bool { return rand() < 0.5 ? 'true' : 'false'; }

my @vendor = map { ("metrics-$_.example", "cdn.adnet-$_.example", "pixel-$_.example", "tags.vendor-$_.example") } 1 .. 60;
my @company = map { my $n = $_; map { "$n $_" } qw(Ltd GmbH Inc SAS) }
  qw(Adnet Metrica Pixelgrid Taghub Audiencio Clickwise Heatline Beaconry);
my @category = qw(analytics advertising social session-replay fingerprinting tag-manager consent cdn);
my @country = qw(DE FR IE NL US GB SE PL ES IT);
my @cookie = qw(_ga _gid _fbx uid sessionId consent_v2 cto_bundle _hjid IDE NID ajs_anonymous_id optout);
my @path = qw(/collect /pixel.gif /js/tag.js /v2/events /sync /beacon /gtm.js /api/identify);
my @type = qw(script image xhr fetch beacon stylesheet);
my @agent = map {
	"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/$_.0.0.0 Safari/537.36"
} 108 .. 124;

# Policies speak like this: who does what, with which data, why.
my @who = ('We', 'Our partners', 'Each affiliate', 'A processor on our behalf', 'This site', 'The vendor', 'Advertisers');
my @does = ('collect', 'may share', 'retain', 'combine', 'transfer abroad', 'will not sell', 'disclose on request', 'erase');
my @data = (
	'the address of your device', 'identifiers stored in cookies', 'the pages you visit', 'records of consent',
	'approximate location', 'purchase history', 'technical logs', 'contact details', 'answers to surveys');
my @why = (
	'to measure how the service is used', 'where the law of your country permits it', 'for fraud prevention',
	'under standard contractual clauses', 'until you withdraw consent', 'for at most thirteen months',
	'to personalise what you see', 'on the basis of legitimate interest', 'as a supervisory authority may require');

sub sentence
{
	my $who = rand() < 0.3 ? any(@company) . ' (' . any(@vendor) . ')' : any(@who);
	my $when = rand() < 0.3 ? sprintf ', section %d.%d', 1 + rand 30, 1 + rand 9 : '';
	return join(' ', $who, any(@does), any(@data), any(@why)) . "$when. ";
}

sub policy_text
{
	my $bytes = shift;
	my $text = '';
	$text .= sentence() while length $text < $bytes;
	return substr $text, 0, $bytes;
}

# Identifiers are what doesn't compress in such documents.
my @letter = ('A' .. 'Z', 'a' .. 'z', '0' .. '9', '-', '_');
my @pair = map { my $a = $_; map { $a . $_ } @letter } @letter;
sub opaque { return join '', map { $pair[ rand @pair ] } 1 .. $_[0] / 2; }

sub cookie
{
	my $name = any(@cookie);
	my $value = $name =~ /^_g/ ? sprintf('GA1.2.%d.%d', rand 1e9, 1_700_000_000 + rand 9e7) : opaque(16 + rand 32);
	return sprintf '{"name":"%s","value":"%s","domain":".%s","path":"/","secure":%s,"sameSite":"%s","purpose":"%s","maxAgeDays":%d}',
	  $name, $value, any(@vendor), bool(), any('Lax', 'None', 'Strict'), any(@category), rand 730;
}

sub request
{
	my $host = any(@vendor);
	return sprintf '{"url":"https://%s%s?tid=UA-%d-%d&cid=%d.%d&sid=%s&dl=https%%3A%%2F%%2Fshop-%d.example%%2Fp%%2F%d&z=%d","type":"%s",'
	  . '"method":"GET","status":%d,"bytes":%d,"ms":%d,"headers":{"user-agent":"%s","accept":"*/*","etag":"%s",'
	  . '"referer":"https://shop-%d.example/","sec-fetch-mode":"no-cors","cookie":"uid=%s"}}',
	  $host, any(@path), rand 1e8, rand 9, rand 1e9, 1_700_000_000 + rand 9e7, opaque(22), rand 9000, rand 1e5, rand 1e9, any(@type),
	  any(200, 204, 302), rand 90_000, rand 2000, any(@agent), token(), rand 9000, opaque(24);
}

sub tracker
{
	return sprintf '{"domain":"%s","company":"%s","category":"%s","confidence":0.%d,"country":"%s","beforeConsent":%s}',
	  any(@vendor), any(@company), any(@category), 10 + rand 90, any(@country), bool();
}

# --- documents ------------------------------------------------------------------------------------

# About the bytes of a JSON text as jsonb: an entry of four bytes for each key and value and a header for each
# container take more than the punctuation.
sub jsonb_size
{
	my $json = shift;
	my $pairs = () = $json =~ /":/g;
	my $numbers = () = $json =~ /:-?\d/g;
	return length($json) + 2 * $pairs + 5 * $numbers + 4;
}

# As many elements of a kind as come nearest to so many bytes.
sub elements
{
	my ($make, $bytes) = @_;
	my @made;
	for (;;)
	{
		my $element = $make->();
		my $size = jsonb_size($element);
		last if $bytes < $size / 2;
		push @made, $element;
		$bytes -= $size;
	}
	return '[' . join(',', @made) . ']';
}

sub page
{
	return sprintf '{"lang":"en","meta":{"cmp":"%s","tcf":{"version":2,"consent":[{"purpose":"%s"},{"purpose":"%s","vendor":%d}]}}}',
	  any(@company), any(@category), any(@category), rand 900;
}

# Scalars, in the order in which jsonb keeps the keys: by length, then by bytes.
sub scalars
{
	return (
		url => sprintf('"https://shop-%d.example/"', 1000 + rand 8000),
		rule => sprintf('"list-%d"', 100 + rand 900),
		score => int rand 1000,
		domain => '"' . any(@vendor) . '"',
		scanId => 1_700_000_000_000 + int rand 99_000_000_000,
		severity => 1 + int rand 5,
		riskScore => sprintf('%d.%02d', rand 100, rand 100),
		scannedAt => sprintf('"2026-%02d-%02dT%02d:%02d:%02d.%03dZ"', 1 + rand 12, 1 + rand 28, rand 24, rand 60, rand 60, rand 1000),
		thirdParty => bool());
}

# Keys that tell the shapes apart: before, between and behind those that are asked for.
my @extra = ([], [qw(host party kind)], [qw(source category)], [qw(id via country referrer fingerprint)]);

sub object
{
	my ($size, $shape) = @_;
	my %value = scalars();
	delete @value{qw(url score scanId severity riskScore thirdParty)} if $size < 300;
	delete $value{url} if $shape == 1;
	$value{$_} = '"' . any(@category) . '"' for @{ $extra[$shape] };
	$value{page} = page() if $size >= 600;
	my $bytes = sub { return jsonb_size(join ',', map { qq{"$_":$value{$_}} } keys %value) + 20 };
	if ($size >= 600)
	{
		my $room = $size * BEFORE_LATE - $bytes->() - 40;
		$value{cookies} = elements(\&cookie, 0.3 * $room);
		$value{requests} = elements(\&request, 0.45 * $room);
		my $left = $size * BEFORE_LATE - $bytes->();
		$value{trackers} = elements(\&tracker, $left - 20);
	}
	my $rest = $size - $bytes->();
	$value{policyText} = '"' . policy_text($rest > 12 ? $rest : 12) . '"';
	return '{' . join(',', map { qq{"$_":$value{$_}} } sort keys %value) . '}';
}

srand 20_240_229;
for (1 .. $arg{rows})
{
	my $size = $sizes[ rand @sizes ];
	my $json = $arg{root} eq 'array' ? elements(\&request, $size) : object($size, int rand $arg{shapes});
	print $json, "\n";
}
