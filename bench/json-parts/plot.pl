#!/usr/bin/perl
# Draws what measure.pl wrote as an SVG: how many times faster json_text is than ->>, by the size of the document, a
# panel for each position of the key, a line for each form of storage, both scales logarithmic.
#
#   plot.pl FILE >doc/json-speed.svg
use strict;
use warnings;

my %panel = (
	early => 'a key near the beginning',
	late => 'a key in the last tenth',
	last => 'the text that ends the document',
	absent => 'a key that is not there');
my @panels = qw(early absent late last);
my @forms = (
	[ plain => 'plain, in the row', '#5b5b5b', 'circle' ],
	[ pglz => 'pglz', '#0060a8', 'square' ],
	[ lz4 => 'lz4', '#c44e00', 'diamond' ],
	[ external => 'uncompressed, in chunks', '#00795c', 'triangle' ]);
my @sizes = ([ 200, '200' ], [ 500, '500' ], [ 1000, '1 K' ], [ 2048, '2 K' ], [ 8192, '8 K' ], [ 32768, '32 K' ],
	[ 102_400, '100 K' ], [ 1_048_576, '1 M' ]);
my @ratios = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500);

use constant {
	WIDTH => 960, HEIGHT => 860,
	PANEL_WIDTH => 390, PANEL_HEIGHT => 300,
	LEFT => 62, TOP => 112, ACROSS => 458, DOWN => 364,
	SMALLEST => 170, LARGEST => 1_300_000, LOWEST => 0.5, HIGHEST => 500,
};

# --- places ----------------------------------------------------------------------------------------

sub share { my ($value, $low, $high) = @_; return log($value / $low) / log($high / $low); }
sub x_of { return sprintf '%.1f', PANEL_WIDTH * share($_[0], SMALLEST, LARGEST); }
sub y_of { return sprintf '%.1f', PANEL_HEIGHT * (1 - share($_[0], LOWEST, HIGHEST)); }

# --- parts of the picture --------------------------------------------------------------------------

sub text
{
	my ($x, $y, $class, $text) = @_;
	return qq{<text x="$x" y="$y" class="$class">$text</text>\n};
}

sub mark
{
	my ($shape, $x, $y, $colour) = @_;
	my %path = (
		square => "M$x,$y m-4,-4 h8 v8 h-8 z",
		diamond => "M$x,$y m0,-5.5 l5.5,5.5 l-5.5,5.5 l-5.5,-5.5 z",
		triangle => "M$x,$y m0,-5.5 l5.3,9.5 h-10.6 z",
		circle => "M$x,$y m-4.2,0 a4.2,4.2 0 1 0 8.4,0 a4.2,4.2 0 1 0 -8.4,0 z");
	return qq{<path d="$path{$shape}" fill="$colour" stroke="#fff" stroke-width="1"/>\n};
}

sub axes
{
	my ($w, $h, $one) = (PANEL_WIDTH, PANEL_HEIGHT, y_of(1));
	my $svg = qq{<rect width="$w" height="$h" class="panel"/>\n}
	  . sprintf qq{<rect y="%s" width="$w" height="%s" class="slower"/>\n}, $one, $h - $one;
	for (@sizes)
	{
		my ($size, $name) = @$_;
		my $x = x_of($size);
		$svg .= qq{<line x1="$x" x2="$x" y2="$h" class="grid"/>\n} . text($x, $h + 17, 'middle', $name);
	}
	for my $ratio (@ratios)
	{
		my $y = y_of($ratio);
		$svg .= sprintf(qq{<line x2="$w" y1="$y" y2="$y" class="%s"/>\n}, $ratio == 1 ? 'one' : 'grid') . text(-8, $y + 4, 'end', $ratio);
	}
	return $svg;
}

# The cells of one form and position: a line, a mark at each size, a stroke from quartile to quartile.
sub curve
{
	my ($form, @cells) = @_;
	my (undef, undef, $colour, $shape) = @$form;
	my @at = map { [ x_of($_->{bytes}), y_of($_->{ratio}), y_of($_->{q1}), y_of($_->{q3}) ] } @cells;
	my $points = join ' ', map { "$_->[0],$_->[1]" } @at;
	return qq{<polyline points="$points" fill="none" stroke="$colour" stroke-width="2"/>\n} . join '', map {
		my ($x, $y, $low, $high) = @$_;
		qq{<line x1="$x" x2="$x" y1="$low" y2="$high" stroke="$colour" stroke-width="1.2"/>\n} . mark($shape, $x, $y, $colour)
	} @at;
}

sub legend
{
	my ($svg, $x) = ('', LEFT);
	for (@forms)
	{
		my (undef, $name, $colour, $shape) = @$_;
		$svg .= sprintf(qq{<line x1="$x" x2="%d" y1="76" y2="76" stroke="$colour" stroke-width="2"/>\n}, $x + 30)
		  . mark($shape, $x + 15, 76, $colour) . text($x + 38, 80, 'start', $name);
		$x += 70 + 7 * length $name;
	}
	return $svg;
}

# --- the figures -----------------------------------------------------------------------------------

my ($heading, @lines) = map { chomp; [ split /\t/, $_, -1 ] } <>;
my %cells;
for (@lines)
{
	my %row;
	@row{@$heading} = @$_;
	# Stores of one size are named by it; the mixed ones have no place on the scale.
	push @{ $cells{ $row{position} }{ $row{form} } }, \%row if $row{group} eq 'key' && $row{store} =~ /^\d+ [KM]?B$/;
}

my ($w, $h) = (WIDTH, HEIGHT);
print <<"SVG";
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 $w $h" width="$w" height="$h" role="img" font-family="system-ui, 'DejaVu Sans', Helvetica, Arial, sans-serif">
<title>How many times faster json_text(doc, key) is than doc -&gt;&gt; key, by size of the document</title>
<style>
text { fill: #222; font-size: 12px }
.title { font-size: 18px; font-weight: 600 }
.name { font-size: 14px; font-weight: 600 }
.end { text-anchor: end }
.middle { text-anchor: middle }
.panel { fill: #fff; stroke: #999 }
.slower { fill: #f6e9e6 }
.grid { stroke: #e4e4e4 }
.one { stroke: #444; stroke-width: 1.5 }
</style>
<rect width="$w" height="$h" fill="#fff"/>
SVG
print text(LEFT, 30, 'title', 'json_text(doc, key) against doc -&gt;&gt; key'),
  text(LEFT, 52, 'start', 'CPU time of the whole query, built-in / ours: above 1 ours is faster. Bytes of the document across, both scales logarithmic.'),
  legend();
for my $i (0 .. $#panels)
{
	my $position = $panels[$i];
	printf qq{<g transform="translate(%d,%d)">\n}, LEFT + ACROSS * ($i % 2), TOP + 22 + DOWN * int($i / 2);
	print text(0, -8, 'name', $panel{$position}), axes();
	for my $form (@forms)
	{
		my @at = sort { $a->{bytes} <=> $b->{bytes} } @{ $cells{$position}{ $form->[0] } // [] };
		print curve($form, @at) if @at;
	}
	print "</g>\n";
}
print "</svg>\n";
