# Ten sessions maintain at once, round after round, while others write: no duplicate partition, no error, no
# gap, no row lost or doubled.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;

my $node = new_server('main');
make_store($node);
$node->safe_psql('postgres', q{
	CREATE TABLE outcome (round int, relation text, partition text, action text, sqlstate text, message text);
	CREATE SCHEMA more;
	CREATE TABLE more.a (d date NOT NULL, n int, PRIMARY KEY (d, n)) PARTITION BY RANGE (d);
	CREATE TABLE more.b (d timestamp NOT NULL, n int) PARTITION BY RANGE (d);
	CREATE TABLE more.c (id int PRIMARY KEY) PARTITION BY RANGE (id);
	INSERT INTO privacy_scan.partition_policies (relation, every, step, premake, time_zone, default_partition)
	VALUES ('more.a', '1 week', NULL, 2, 'Europe/Berlin', true), ('more.b', '6 hours', NULL, 8, 'UTC', false),
	       ('more.c', NULL, 1000, 3, 'UTC', true);
});

# Ten sessions, the same work: each partition is made once.
sub maintain_by_ten
{
	my ($round, $name, $sql) = @_;
	$node->pgbench(
		"--no-vacuum --client=10 --jobs=2 --transactions=1 --define=round=$round",
		0, [qr{actually processed: 10/10}], [qr{^(?!.*(?:ERROR|WARNING))}s],
		"round $round: $name", { "maintain_$round" => $sql });
	return;
}

my $all = q{INSERT INTO outcome SELECT :round, relation, partition, action, sqlstate, message
	FROM privacy_scan.maintain_partitions(at => (SELECT at FROM clock));};
my $each = q{SELECT quote_literal(at) AS at FROM clock \gset
CALL privacy_scan.run_maintenance(at => :at);};

for my $round (1 .. 4)
{
	advance_clock($node);
	maintain_by_ten($round, 'ten sessions, nobody else', $all);
}
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT action, ' ') FROM outcome}),
	'created', 'everything was created, nothing failed');
is($node->safe_psql('postgres', q{SELECT count(*) FROM outcome GROUP BY partition HAVING count(*) > 1}),
	'', 'nothing was created twice');
check_layout($node, 'nobody else');

# The same while others write.
my @writers = map { write_rows($node, "writer$_", 1500) } 1 .. 3;
for (my $round = 5; is_writing(@writers) && $round < 50; ++$round)
{
	advance_clock($node);
	maintain_by_ten($round, 'ten sessions, with writers', $round % 2 ? $all : $each);
	$node->safe_psql('postgres', q{CALL privacy_scan.run_drain('event', 500)}) if $round % 3 == 0;
}
$_->{session}->finish for @writers;
is(slurp_file($_->{err}), '', "no statement of $_->{name} failed") for @writers;
is($node->safe_psql('postgres', q{SELECT DISTINCT concat_ws(' ', action, sqlstate, message) FROM outcome
	WHERE action NOT IN ('created', 'drained', 'left: too far from the clock')}),
	'', 'no maintenance failed');
cmp_ok(converge($node), '<=', 5, 'maintenance comes to an end');
check_ledger($node, 'with writers', @writers);
check_layout($node, 'with writers');
is($node->safe_psql('postgres', 'SELECT count(*) FROM event_default'), '0', 'DEFAULT is empty');

done_testing();
