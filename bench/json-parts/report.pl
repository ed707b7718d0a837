#!/usr/bin/perl
# Prints what measure.pl wrote as Markdown: what was promised and whether it holds, the whole grid, all else.
#
#   report.pl FILE
use strict;
use warnings;

my @positions = qw(early late last absent);

# The lines of a TSV with a heading, as hashes.
sub rows
{
	my ($heading, @lines) = map { chomp; [ split /\t/, $_, -1 ] } @_;
	return map { my %row; @row{@$heading} = @$_; \%row } @lines;
}

sub line { return '| ' . join(' | ', @_) . " |\n"; }
sub heading { return line(@_), '|', '---|' x @_, "\n"; }

# Three significant digits are more than the noise allows; one below the floor is marked.
sub figure
{
	my $cell = shift or return '';
	my $ratio = $cell->{ratio} >= 20 ? sprintf '%.0f', $cell->{ratio} : sprintf '%.2f', $cell->{ratio};
	return $cell->{ratio} < $cell->{target} && $cell->{promised} eq '' ? "**$ratio**" : $ratio;
}

sub quartiles { return sprintf '%.2f - %.2f', @{ $_[0] }{qw(q1 q3)}; }

sub promised
{
	my @cells = grep { $_->{promised} ne '' } @_ or return;
	print "What was promised:\n\n", heading(qw(documents stored what promised measured quartiles result));
	print line(@$_{qw(store form)}, "$_->{group}, $_->{position}", $_->{promised}, figure($_), quartiles($_),
		$_->{ratio} < $_->{promised} ? 'NOT MET' : 'met')
	  for @cells;
	printf "\n%d of %d are met.\n\n", scalar(grep { $_->{ratio} >= $_->{promised} } @cells), scalar @cells;
}

sub grid
{
	my (%at, @lines);
	for (grep { $_->{group} eq 'key' } @_)
	{
		my $line = join "\t", @$_{qw(store form)};
		push @lines, $line unless $at{$line};
		$at{$line}{ $_->{position} } = $_;
	}
	@lines or return;
	print "One key, by its position:\n\n", heading(qw(documents stored bytes), @positions);
	for my $line (@lines)
	{
		my ($any) = values %{ $at{$line} };
		my $where = $any->{toasted} == 100 ? ' apart' : $any->{toasted} == 0 ? ' in the row' : " $any->{toasted} % apart";
		print line(split(/\t/, $line), $any->{stored} . $where, map { figure($at{$line}{$_}) } @positions);
	}
	print "\n";
}

sub others
{
	my @cells = grep { $_->{group} ne 'key' } @_ or return;
	print "All else:\n\n", heading('documents', 'stored', 'what', 'built-in us', 'ours us', 'ratio', 'quartiles');
	print line(@$_{qw(store form)}, "$_->{group}, $_->{position}", @$_{qw(base_us ours_us)}, figure($_), quartiles($_)) for @cells;
	print "\n";
}

sub below
{
	my @below = grep { $_->{ratio} < 0.95 } @_;
	printf "%d cells, %d below 0.95%s\n", scalar @_, scalar @below, @below ? ':' : '.';
	printf "  %s %s, %s %s: %.2f (%s)\n", @$_{qw(store form group position ratio)}, quartiles($_) for @below;
}

my @cells = rows(<>);
promised(@cells);
grid(@cells);
others(@cells);
below(@cells);
