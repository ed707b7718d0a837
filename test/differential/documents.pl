#!/usr/bin/env perl
# documents.pl SEED COUNT WITH_HOSTILE DIR: writes DIR/documents (id, group, JSON) and DIR/pairs (document, number
# of the constant or NULL, key, path) as COPY reads them. The same arguments give the same files.
# Paths are walks through the document that was just made, some of them spoilt on the way; what the result has to
# be is not known here: the built-in operators say it.

use strict;
use warnings;
no warnings qw(recursion nonchar);

my ($seed, $count, $with_hostile, $dir) = @ARGV;
srand($seed);

# What every document is asked, with constants, so that a call site sees all documents one after another.
my @constants = (
	[ 'domain', 'domain' ], [ 'score', 'score' ], [ 'scannedAt', 'scannedAt' ], [ 'policyText', 'policyText' ],
	[ 'page', 'page', 'meta', 'cmp' ], [ 'cookies', 'cookies', '0', 'name' ], [ 'requests', 'requests', '-1' ],
	[ 'absent', 'page', 'absent' ], [ '', '' ], [ 'x', 'x' ], [ '0', '0' ], [ 'pad' ], [ 'x', 'x', '0', '1' ],
	[ 'cookies', 'cookies', ' 1', 'secure' ]);

my @keys = (
	qw(domain url page meta cmp cookies requests name secure status score scannedAt policyText a b c aa ab x),
	'', '0', '1', '-1', '00', '+1', ' 1', '0x0', 'a b', 'a.b', '{a}', 'A', 'é', "e\x{301}", "\x{1F600}",
	"\x{202E}x", "\x{10FFFF}k", '"', '\\', "\n", 'k' x 126, 'k' x 127, 'k' x 300);
my @odd_steps = (
	'0', '1', '-1', '-2', ' 1', '+1', '01', '1 ', '0x0', '99999999999', '2147483647', '-2147483648', '-2147483649',
	'-0', '1.0', '1e0', '', 'absent', 'NULL', "\x{1F600}", '-', ' ', "\t0");
my @numbers = (
	'0', '-0', '1', '-1', '1.00', '10.0', '0.1', '1.5', '-2.5', '1e3', '1E+2', '12e-1', '9999', '10000', '32767', '-32768',
	'2147483648', '9007199254740993', '9223372036854775807', '9223372036854775808', '-9223372036854775808',
	'-9223372036854775809', '922337203685477580.70', '1e308', '1.8e308', '-1e400', '1e-300', '5e-324', '1e-324', '1e-400',
	'0.00000000000000000000000000000000001', '0e-50', '123456789012345678901234567890.123456789', '1e18', '1e19',
	'4.35', '0.30000000000000004', '2.2250738585072011e-308', '1e-16383');
my @times = (
	'2026-11-24T10:00:00Z', '2026-11-24t10:00:00.123z', '2026-11-24 10:00:00+01:00', '2026-11-24T10:00:00',
	'2026-02-29T00:00:00Z', '2024-02-29T23:59:60Z', '2024-12-31T23:59:59.9999999Z', '2026-11-24T24:00:00Z',
	'2026-11-24T10:00:00.1234565Z', '2026-11-24T10:00:00.5-15:59', '2026-11-24T10:00:00+16:00', '0000-01-01T00:00:00Z',
	'0001-01-01T00:00:00Z', '9999-12-31T23:59:59.999999Z', '2026-13-01T00:00:00Z', '2026-11-24T10:60:00Z',
	'2026-11-24T10:00:00+01:60', '2026-11-24T10:00:00+0100', '2026-11-24T10:00:00 Z', ' 2026-11-24T10:00:00Z',
	'2026-11-24', 'now', 'infinity', '2026-11-24T10:00:00.Z', '2026-11-24T10:00:61Z', '2026-11-24T10:00:00-00:00',
	'1999-12-31T23:59:59.0000005Z', '1900-02-29T00:00:00Z', '2000-02-29T00:00:00Z');
my @texts = (
	'', 'a', 'tracker.example', 'true', 'null', '12', 'NaN', 'Infinity', "\x{1F600}", 'é' x 10, "e\x{301}", "\x{202E}abc",
	"tab\tnew\nline", '"quoted"', '\\', '/', "\x{1}", '%s', "\x{FFFF}", 'a1a2a3a4-b5b6-4788-99aa-bbccddeeff00');

sub one_of { return $_[ rand @_ ] }

# A number from 0 to below the argument, small ones more often.
sub few { return int(rand() * rand() * $_[0]) }

sub escaped
{
	my ($text) = @_;
	my %short = ("\n" => '\\n', "\t" => '\\t', '"' => '\\"', '\\' => '\\\\');
	$text =~ s/(["\\\n\t])/$short{$1}/g;
	$text =~ s/([\x00-\x1f])/sprintf('\\u%04x', ord $1)/ge;
	# The same characters as escapes, too: a pair of surrogates beyond the basic plane.
	$text =~ s/([^\x00-\x7f])/join '', map { sprintf '\\u%04x', $_ } surrogates(ord $1)/ge if rand() < 0.2;
	return "\"$text\"";
}

sub surrogates
{
	my ($point) = @_;
	return $point if $point < 0x10000;
	return (0xD800 + (($point - 0x10000) >> 10), 0xDC00 + ($point & 0x3FF));
}

# --- values: [o => [key, value]...], [a => value...], [s => JSON of a scalar] -----------------------

sub scalar_text { return [ s => escaped($_[0]) ] }

my @words = (qw(consent cookie policy tracker first third party storage é vendor purpose), "\x{1F600}");
my @phrases = map { join(' ', map { one_of(@words) } 1 .. 12) . ' ' } 1 .. 50;

sub prose
{
	my ($size) = @_;
	return substr join('', map { one_of(@phrases) } 0 .. $size / 50), 0, $size;
}

sub noise
{
	my ($size) = @_;
	return join '', map { sprintf '%08x', rand 0xFFFFFFFF } 0 .. $size / 8;
}

sub scalar_value
{
	my $kind = rand 10;
	return [ s => one_of('true', 'false', 'null') ] if $kind < 2;
	return [ s => one_of(@numbers) ] if $kind < 4;
	return [ s => int(rand 100000) - 50000 ] if $kind < 5;
	return [ s => sprintf '%.*f', int(rand 8), rand(1e6) - 5e5 ] if $kind < 5.5;
	return scalar_text(one_of(@times)) if $kind < 6.5;
	return scalar_text(one_of(@texts)) if $kind < 8.5;
	return scalar_text(prose(few(3000))) if $kind < 9.5;
	return scalar_text(noise(few(600)));
}

sub value
{
	my ($depth) = @_;
	my $kind = rand 10;
	return scalar_value() if $depth <= 0 || $kind < 5;
	return [ a => map { value($depth - 1) } 1 .. few(12) ] if $kind < 7;
	return [ o => map { [ one_of(@keys), value($depth - 1) ] } 1 .. few(14) ];
}

# Shaped like what a scan finds; any of it may be missing.
sub evidence
{
	my ($size) = @_;
	my @cookies = map { [ o => [ name => scalar_text(noise(16)) ], [ domain => scalar_text(one_of(@texts)) ],
			[ secure => [ s => one_of('true', 'false') ] ] ] } 1 .. few($size / 100 + 2);
	my @requests = map { [ o => [ url => scalar_text('https://' . prose(40)) ], [ status => [ s => one_of(@numbers) ] ] ] }
	  1 .. few($size / 120 + 2);
	my @fields = (
		[ domain => scalar_text(one_of(@texts)) ], [ score => scalar_value() ], [ scannedAt => scalar_text(one_of(@times)) ],
		[ page => [ o => [ meta => [ o => [ cmp => value(2) ], [ tcf => value(2) ] ] ], [ name => scalar_value() ] ] ],
		[ cookies => [ a => @cookies ] ], [ requests => [ a => @requests ] ], [ policyText => scalar_text(prose(few($size))) ]);
	return [ o => grep { rand() < 0.9 } @fields ];
}

sub many_keys { return [ o => map { [ one_of('k', 'key', 'a longer key ') . $_, scalar_value() ] } 1 .. $_[0] ] }

sub document
{
	my $kind = rand 20;
	return evidence(one_of(80, 500, 2000, 8000, 8000, 20000)) if $kind < 8;
	return value(one_of(1, 2, 3, 6)) if $kind < 13;
	# Small enough for a short header.
	return [ o => map { [ one_of(qw(domain score x a b), '', '0'), [ s => one_of('true', 'null', 7, '"ab"', '[1,2]', '{"0":1}') ] ] } 0 .. few(6) ]
	  if $kind < 15;
	return padded(value(2), one_of(1900, 1980 + rand 40, 3970 + rand 40, 6000)) if $kind < 18;
	return many_keys(1 + few(600)) if $kind < 19;
	return padded(evidence(2000), one_of(30000, 100000));
}

# A long text before the value, or after it.
sub padded
{
	my ($value, $size) = @_;
	my $pad = [ one_of('pad', 'zzz padding'), scalar_text(rand() < 0.8 ? prose($size) : noise($size)) ];
	return [ a => $pad->[1], $value, $value ] if rand() < 0.2;
	return [ o => $pad, [ x => $value ], [ domain => scalar_value() ] ];
}

sub json
{
	my ($value) = @_;
	my ($kind, @parts) = @$value;
	return $parts[0] if $kind eq 's';
	return '[' . join(',', map { json($_) } @parts) . ']' if $kind eq 'a';
	return '{' . join(', ', map { escaped($_->[0]) . ': ' . json($_->[1]) } @parts) . '}';
}

# --- paths ----------------------------------------------------------------------------------------

sub walk
{
	my ($value) = @_;
	my @steps;
	while ($value->[0] ne 's' && @$value > 1 && rand() < 0.85)
	{
		my $n = 1 + int rand $#$value;
		my $is_object = $value->[0] eq 'o';
		push @steps, $is_object ? $value->[$n][0] : rand() < 0.3 ? $n - @$value : $n - 1;
		$value = $is_object ? $value->[$n][1] : $value->[$n];
	}
	push @steps, one_of(@odd_steps) if rand() < 0.15;
	$steps[ rand @steps ] = one_of(@odd_steps, @keys) if @steps && rand() < 0.2;
	$steps[ rand @steps ] = undef if @steps && rand() < 0.02;
	return @steps;
}

sub array_literal
{
	return '{' . join(',', map { defined $_ ? '"' . s/(["\\])/\\$1/gr . '"' : 'NULL' } @_) . '}';
}

# --- hostile documents: a group for each line of what goes wrong with JSON ---------------------------

sub chain
{
	my ($kind, $levels) = @_;
	my $value = [ s => '7' ];
	$value = $kind eq 'a' ? [ a => $value ] : [ o => [ k => $value ] ] for 1 .. $levels;
	return $value;
}

# [group, document, further paths...]; each also stands at the end and at the beginning of a larger one.
sub hostile
{
	my @list;
	push @list, [ depth => chain('a', $_), [ ('0') x $_ ], [ ('0') x ($_ + 1) ], [ ('-1') x ($_ - 1) ] ] for 1, 100, 5000;
	push @list, [ depth => chain('o', $_), [ ('k') x $_ ], [ ('k') x ($_ + 1) ] ] for 1, 100, 5000;
	push @list, [ 'many keys and long values' => many_keys($_), ['key1'], ["k$_"] ] for 47, 48, 49, 50, 5000;
	push @list, [ 'many keys and long values' => [ o => [ long => scalar_text('x' x 300000) ], [ z => [ s => 1 ] ] ], ['long'], ['z'] ];
	push @list, [ 'many keys and long values' => [ o => map { [ 'k' x $_, [ s => $_ ] ] } 1 .. 60 ], map { [ 'k' x $_ ] } 1, 47, 60, 61 ];
	push @list, [ 'unicode' => [ o => map { [ $keys[$_], [ s => $_ ] ] } 0 .. $#keys ], map { [$_] } @keys ];
	push @list, [ 'unicode' => scalar_text($_), [] ] for @texts;
	push @list, [ 'duplicate keys' => [ o => map { [ d => [ s => $_ ] ] } 1 .. 5 ], ['d'] ];
	push @list, [ 'duplicate keys' => [ o => [ d => [ a => [ s => 1 ] ] ], [ e => [ s => 1 ] ], [ d => [ s => 'null' ] ] ], ['d'], [ 'd', '0' ] ];
	push @list, [ 'numbers' => [ s => $_ ], [], ['0'] ] for @numbers, '1' . '0' x 200, '1e131071', '1' x 4000, '0.' . '1' x 4000;
	push @list, [ 'times' => scalar_text($_), [] ] for @times;
	push @list, [ 'shape' => $_, [], map { [$_] } @odd_steps, undef ]
	  for [ s => 'null' ], [ s => 'true' ], [ s => '"0"' ], ['a'], ['o'], [ a => [ s => 'null' ] ], [ a => [ 'a' ], [ 'o' ], [ s => '"0"' ] ],
	  [ o => map { [ $_, [ s => '1' ] ] } grep { $_ ne "\t0" } @odd_steps ], [ a => map { [ s => $_ ] } 0 .. 99 ];
	push @list, [ 'shape' => [ a => map { [ s => $_ ] } 0 .. 20000 ], ['20000'], ['20001'], ['-20001'], ['-20002'], ['31'], ['32'], ['33'] ];
	return @list;
}

# --- the files ------------------------------------------------------------------------------------

open my $documents, '>:utf8', "$dir/documents" or die "$dir/documents: $!";
open my $pairs, '>:utf8', "$dir/pairs" or die "$dir/pairs: $!";
my $id = 0;

sub copy_line { return join("\t", map { defined $_ ? s/\\/\\\\/gr =~ s/\n/\\n/gr =~ s/\t/\\t/gr : '\\N' } @_) . "\n" }

sub put_pair
{
	my ($constant, $key, @path) = @_;
	print $pairs copy_line($id, $constant, $key, array_literal(@path));
	return;
}

sub put
{
	my ($group, $value, @paths) = @_;
	++$id;
	print $documents copy_line($id, $group, json($value));
	put_pair($_, @{ $constants[$_] }) for 0 .. $#constants;
	put_pair(undef, defined $_->[0] ? $_->[0] : one_of(@keys), @$_) for @paths;
	my @random = map { [ walk($value) ] } 1 .. ($group eq 'random' ? 14 : 4);
	put_pair(undef, @$_ && defined $_->[0] && rand() < 0.7 ? $_->[0] : one_of(@keys), @$_) for @random;
	return;
}

if ($with_hostile)
{
	for (hostile())
	{
		my ($group, $value, @paths) = @$_;
		@paths = map { ref $_ ? $_ : [undef] } @paths;
		put($group, $value, @paths);
		put($group, [ o => [ x => $value ], [ zzpad => scalar_text(prose(2500)) ] ], map { [ 'x', @$_ ] } @paths);
		put($group, [ a => scalar_text(prose(1900 + rand 200)), $value ], map { [ '-1', @$_ ] } @paths);
	}
}
put('random', document()) for 1 .. $count;
close $documents or die "$dir/documents: $!";
close $pairs or die "$dir/pairs: $!";
