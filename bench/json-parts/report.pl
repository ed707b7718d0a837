#!/usr/bin/perl
# Prints what measure.pl wrote as Markdown: what was promised and whether it holds, one key by size, storage and
# position, all else, and what is below the floor; or only one of these.
#
#   report.pl FILE [promised|keys|others|below]
use strict;
use warnings;

my @positions = qw(early absent late last);
my @forms = qw(plain pglz lz4 external);

# The lines of a TSV with a heading, as hashes.
sub rows
{
	my ($heading, @lines) = map { chomp; [ split /\t/, $_, -1 ] } @_;
	return map { my %row; @row{@$heading} = @$_; \%row } @lines;
}

sub line { return '| ' . join(' | ', @_) . " |\n"; }
sub heading { return line(@_), '|', '---|' x @_, "\n"; }

# Three significant digits are more than the noise allows.
sub figure { return $_[0] >= 19.5 ? sprintf '%.0f', $_[0] : $_[0] >= 9.95 ? sprintf '%.1f', $_[0] : sprintf '%.2f', $_[0]; }
sub quartiles { return join ' - ', map { figure($_) } @{ $_[0] }{qw(q1 q3)}; }

# Groups cells into lines: [name of the line, { column => cell }], in the order of their first cell.
sub lines_of
{
	my ($name, $column, @cells) = @_;
	my (%at, @names);
	for my $cell (@cells)
	{
		my $line = join "\t", @$cell{@$name};
		push @names, $line unless $at{$line};
		$at{$line}{ $cell->{$column} } = $cell;
	}
	return map { [ $_, $at{$_} ] } @names;
}

sub figures
{
	my ($cells, @columns) = @_;
	return map { $cells->{$_} ? figure($cells->{$_}{ratio}) : '' } @columns;
}

sub promised
{
	my @cells = grep { $_->{promised} ne '' } @_ or return;
	print heading(qw(documents stored what promised measured quartiles result));
	print line(@$_{qw(store form)}, "$_->{group}, $_->{position}", $_->{promised}, figure($_->{ratio}), quartiles($_),
		$_->{ratio} < $_->{promised} ? 'NOT MET' : 'met')
	  for @cells;
	printf "\n%d of %d are met.\n\n", scalar(grep { $_->{ratio} >= $_->{promised} } @cells), scalar @cells;
}

sub keys_by_position
{
	print heading(qw(documents stored bytes), @positions);
	for (lines_of([qw(store form)], 'position', grep { $_->{group} eq 'key' } @_))
	{
		my ($name, $cells) = @$_;
		my ($any) = values %$cells;
		my $where = $any->{toasted} == 100 ? 'apart' : $any->{toasted} == 0 ? 'in the row' : "$any->{toasted} % apart";
		print line(split(/\t/, $name), "$any->{stored} $where", figures($cells, @positions));
	}
	print "\n";
}

sub others
{
	print heading(qw(what documents), @forms);
	my @cells = sort { "$a->{group}, $a->{position}" cmp "$b->{group}, $b->{position}" || $a->{bytes} <=> $b->{bytes} }
	  grep { $_->{group} ne 'key' } @_;
	for (lines_of([qw(group position store)], 'form', @cells))
	{
		my ($group, $position, $store) = split /\t/, $_->[0];
		print line("$group, $position", $store, figures($_->[1], @forms));
	}
	print "\n";
}

sub below
{
	my @below = grep { $_->{ratio} < 0.95 } @_;
	printf "%d cells, %d below 0.95%s\n", scalar @_, scalar @below, @below ? ':' : '.';
	printf "  %s %s, %s %s: %.2f (%s)\n", @$_{qw(store form group position ratio)}, quartiles($_) for @below;
}

my %section = (promised => \&promised, keys => \&keys_by_position, others => \&others, below => \&below);
my $file = shift // die "which file?\n";
open(my $tsv, '<', $file) or die "$file: $!\n";
my @cells = rows(<$tsv>);
$section{$_}->(@cells) for @ARGV ? @ARGV : qw(promised keys others below);
