#!/usr/bin/perl
# Measures the cells of cells.pl on the server that libpq's environment names, and writes a TSV.
#
#   measure.pl --psql=PATH --output=FILE [--rounds=N] [--quick=1] [--only=REGEX]
#
# A store is loaded, copied into a table for each form of storage, measured and dropped. Time is the CPU time of
# the backend for the whole statement, user and system, as log_statement_stats reports it from getrusage(). The two
# sides alternate within one session, and change their order from round to round; a ratio is the median over the
# rounds of built-in / ours. Before that each row is checked for equal results, which warms every cache.
use strict;
use warnings;
use FindBin;
use IPC::Open2;

my %arg = (psql => undef, output => undef, rounds => 11, quick => 0, only => '');
for (@ARGV)
{
	/^--(\w+)=(.*)$/ && exists $arg{$1} or die "unknown argument: $_\n";
	$arg{$1} = $2;
}
defined $arg{psql} && defined $arg{output} or die "--psql and --output are needed\n";
my $parts = $FindBin::RealBin;

# Each side runs as often within a round as it takes to be seen clearly.
use constant { BLOCK_US => 20_000, MOST_REPEATS => 30 };

# --- the session -----------------------------------------------------------------------------------

my ($from, $to);

sub connect_server
{
	open2($from, $to, "'$arg{psql}' -X -q -v ON_ERROR_STOP=1 2>&1") or die;
	run('SET jit = off; SET max_parallel_workers_per_gather = 0; SET client_min_messages = warning;', '\o /dev/null');
}

# Runs lines of a psql script; returns what they said.
sub run
{
	my $said = '';
	print {$to} join("\n", @_, '\warn done'), "\n";
	$to->flush;
	while (my $line = <$from>)
	{
		return $said if $line eq "done\n";
		$said .= $line;
	}
	die "psql has ended: $said\n";
}

sub value
{
	my $said = run("SELECT ($_[0]) AS value \\gset", '\warn :value');
	chomp $said;
	return $said;
}

# Microseconds of CPU time of each of so many runs of a query.
sub cpu_times
{
	my ($query, $times) = @_;
	my $said = run('SET client_min_messages = log; SET log_statement_stats = on;', ($query) x $times,
		'SET log_statement_stats = off; SET client_min_messages = warning;');
	my @us;
	push @us, 1e6 * ($1 + $2) while $said =~ /([\d.]+) s user, ([\d.]+) s system, [\d.]+ s elapsed/g;
	# The SET that switches it off is reported as well.
	die "no statistics: $said\n" unless @us == $times + 1;
	return @us[ 0 .. $times - 1 ];
}

# --- stores ----------------------------------------------------------------------------------------

# A row is toasted only from about 2 KB on. Smaller documents are where the row is wide on another column's account.
sub table_of_form
{
	my ($form, $bytes) = @_;
	my $wide = $bytes < 2000 && $form ne 'plain';
	my %storage = (plain => 'PLAIN', external => 'EXTERNAL', map { $_ => $wide ? 'MAIN' : 'EXTENDED' } qw(pglz lz4));
	my $compression = $form =~ /lz/ ? "ALTER TABLE bench.$form ALTER doc SET COMPRESSION $form;" : '';
	my $with = $wide ? 'WITH (toast_tuple_target = 128)' : '';
	run("CREATE UNLOGGED TABLE bench.$form (doc jsonb NOT NULL, other text) $with;",
		"ALTER TABLE bench.$form ALTER doc SET STORAGE $storage{$form}, ALTER other SET STORAGE PLAIN; $compression",
		"INSERT INTO bench.$form SELECT doc, " . ($wide ? "repeat('x', 2100)" : 'NULL') . ' FROM bench.documents;',
		"VACUUM (FREEZE, ANALYZE) bench.$form;");
}

sub load
{
	my ($store, $rows) = @_;
	run('CREATE UNLOGGED TABLE bench.documents (doc jsonb NOT NULL); ALTER TABLE bench.documents ALTER doc SET STORAGE EXTERNAL;');
	system("perl '$parts/documents.pl' --rows=$rows @{$store->{documents}}"
		  . " | '$arg{psql}' -X -q -v ON_ERROR_STOP=1 -c 'COPY bench.documents FROM STDIN'") == 0 or die "loading failed\n";
	table_of_form($_, $store->{bytes}) for @{ $store->{forms} };
	run('DROP TABLE bench.documents;');
}

# Bytes of a document as stored, and the share of the documents that are stored in another table.
sub stored
{
	my $form = shift;
	my $toast = value("SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'bench.$form'::regclass");
	return split / /, value("SELECT round(avg(pg_column_size(doc))) || ' ' || round(100.0 * (SELECT count(*) FROM $toast"
		  . " WHERE chunk_seq = 0) / count(*)) FROM bench.$form");
}

# --- cells -----------------------------------------------------------------------------------------

sub quantile
{
	my ($share, @sorted) = (shift, sort { $a <=> $b } @_);
	my $at = $share * $#sorted;
	my $low = int $at;
	return $sorted[$low] + ($at - $low) * (($sorted[ $low + 1 ] // $sorted[$low]) - $sorted[$low]);
}

sub mean { my $sum = 0; $sum += $_ for @_; return $sum / @_; }

sub repeats
{
	my $us = quantile(0.5, cpu_times($_[0], 3));
	my $repeats = int(BLOCK_US / ($us + 1)) + 1;
	return $repeats < MOST_REPEATS ? $repeats : MOST_REPEATS;
}

sub measure
{
	my $cell = shift;
	my $table = "bench.$cell->{form}";
	my $differ = value("SELECT count(*) FROM $table WHERE NOT ($cell->{same})");
	die "$differ rows differ: $cell->{same}\n" if $differ;
	my @query = map { 'SELECT ' . join(', ', map { "count($_)" } @$_) . " FROM $table;" } $cell->{base}, $cell->{ours};
	my @repeats = map { repeats($_) } @query;
	my (@ratio, @us);
	for my $round (1 .. $arg{rounds})
	{
		my @now;
		$now[$_] = mean(cpu_times($query[$_], $repeats[$_])) for $round % 2 ? (0, 1) : (1, 0);
		push @ratio, $now[0] / $now[1];
		push @{ $us[$_] }, $now[$_] for 0, 1;
	}
	return ((map { quantile(0.5, @{ $us[$_] }) } 0, 1), map { quantile($_, @ratio) } 0.5, 0.25, 0.75);
}

open(my $tsv, '>', $arg{output}) or die "$arg{output}: $!\n";
$tsv->autoflush;
print {$tsv} join("\t", qw(store bytes rows form stored toasted group position base_us ours_us ratio q1 q3 promised target)), "\n";
connect_server();
run('DROP SCHEMA IF EXISTS bench CASCADE; CREATE SCHEMA bench;',
	'CREATE TYPE bench.evidence AS (url text, rule text, score int, domain text, "scanId" bigint, severity int,'
	  . ' "riskScore" numeric, "scannedAt" timestamptz, "policyText" text, "thirdParty" boolean);',
	'CREATE TYPE bench.evidence_text AS (url text, rule text, score text, domain text, "scanId" text, severity text,'
	  . ' "riskScore" text, "scannedAt" text, "policyText" text, "thirdParty" text);');
for my $store (@{ do "$parts/cells.pl" or die $@ || $! })
{
	my @cells = grep { "$store->{name} $_->{form} $_->{group} $_->{position}" =~ /$arg{only}/ && ($_->{quick} || !$arg{quick}) }
	  @{ $store->{cells} } or next;
	my %used = map { $_->{form} => 1 } @cells;
	$store->{forms} = [ grep { $used{$_} } @{ $store->{forms} } ];
	my $rows = $arg{quick} ? int($store->{rows} / 2) : $store->{rows};
	load($store, $rows);
	my %stored = map { $_ => [ stored($_) ] } @{ $store->{forms} };
	for my $cell (@cells)
	{
		my ($base, $ours, @ratio) = measure($cell);
		print {$tsv} join("\t", $store->{name}, $store->{bytes}, $rows, $cell->{form}, @{ $stored{ $cell->{form} } },
			@$cell{qw(group position)}, (map { sprintf '%.3f', $_ / $rows } $base, $ours), (map { sprintf '%.3f', $_ } @ratio),
			$cell->{promised} // '', $cell->{target}), "\n";
	}
	run(map { "DROP TABLE bench.$_;" } @{ $store->{forms} });
}
run('DROP SCHEMA bench CASCADE;');
