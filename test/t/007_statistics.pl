# Samples and what is watched survive dump and restore, with the partitions that the extension made for itself;
# DROP EXTENSION takes these along. A crash loses the counters of changes: parents are analysed then, and the number
# of rows isn't taken for zero.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;

my $node = new_server('main', 'autovacuum = off');
$node->safe_psql('postgres', q{
	CREATE TABLE gone (id int) PARTITION BY RANGE (id);
	CREATE TABLE scan (id int PRIMARY KEY, at timestamptz NOT NULL);
	CREATE TABLE evidence (id int, scan int) PARTITION BY RANGE (id);
	CREATE TABLE evidence_0 PARTITION OF evidence FOR VALUES FROM (0) TO (100000);
	INSERT INTO privacy_scan.partition_policies SELECT r, NULL, 100000, 0, 'UTC', false FROM unnest('{gone,evidence}'::regclass[]) r;
	SELECT privacy_scan.set_retention('scan', '1 year', 'at');
	INSERT INTO scan SELECT i, '2026-01-01' FROM generate_series(1, 1000) i;
	INSERT INTO evidence SELECT i, i % 1000 + 1 FROM generate_series(1, 20000) i});
$node->safe_psql('postgres', 'ANALYZE scan, evidence_0');
$node->safe_psql('postgres', "CALL privacy_scan.run_statistics(at => '2026-01-01'::timestamptz + $_ * interval '20 days')")
  for (0 .. 2);
$node->safe_psql('postgres', 'DROP TABLE gone');

# run SQL: the relation, action and rows of a run, but of the samples.
sub run
{
	my ($database, $at) = @_;
	return $node->safe_psql($database, qq{
		SELECT relation, action, rows, sqlstate FROM privacy_scan.collect_statistics(at => '$at')
		WHERE relation IS DISTINCT FROM 'privacy_scan.metric_samples'::regclass});
}

my $samples = q{SELECT sampled_at, relation, bytes, rows FROM privacy_scan.relation_samples ORDER BY 1, 2::text};
my $ours = q{SELECT relation::text, root::text, samples, rows, rows_per_root FROM privacy_scan.growth ORDER BY 1};
my $layout = q{SELECT partition, lower_bound, upper_bound FROM privacy_scan.partitions
	WHERE parent = 'privacy_scan.metric_samples'::regclass ORDER BY lower_at};
my $dump = "$PostgreSQL::Test::Utils::tmp_check/dump";
for my $format ('plain', 'custom')
{
	my $name = "restored from a $format dump";
	$node->command_ok([ 'pg_dump', "--format=$format", "--file=$dump.$format", $node->connstr('postgres') ], "$format dump");
	$node->safe_psql('postgres', "CREATE DATABASE $format");
	my @restore = $format eq 'plain'
	  ? ('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($format), '-f', "$dump.$format")
	  : ('pg_restore', '--exit-on-error', '-d', $node->connstr($format), "$dump.$format");
	$node->command_ok(\@restore, $name);
	is($node->safe_psql($format, $samples), $node->safe_psql('postgres', $samples), "$name: the samples");
	is($node->safe_psql($format, $ours), $node->safe_psql('postgres', $ours), "$name: growth");
	is($node->safe_psql($format, $layout), $node->safe_psql('postgres', $layout), "$name: the partitions of the samples");
	$node->safe_psql($format, 'ANALYZE scan, evidence_0');
	is(run($format, '2026-04-01'), "scan|sampled|1000|\nevidence|sampled|20000|\nevidence|analyzed||",
		"$name: a run goes on, and analyses what came without statistics");
	$node->safe_psql($format, 'CREATE TABLE later (id int PRIMARY KEY, at timestamptz)');
	$node->safe_psql($format, q{SELECT privacy_scan.set_retention('later', '1 year', 'at')});
	like(run($format, '2026-04-02'), qr/^later\|sampled/m, "$name: a relation that is new");
	is($node->safe_psql($format, q{SELECT count(*) FROM privacy_scan.growth WHERE relation = 'later'::regclass AND samples = 1}),
		'1', "$name: and takes over no samples of another's");
	$node->safe_psql($format, 'DROP EXTENSION privacy_scan');
	is($node->safe_psql($format, q{SELECT count(*) FROM pg_class WHERE relname ~ '^metric_'}), '0', "$name: DROP EXTENSION");
}

# A clean restart keeps the counters.
$node->restart;
is(run('postgres', '2026-04-01'), "scan|sampled|1000|\nevidence|sampled|20000|", 'after a restart nothing is due');
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', q{SELECT pg_stat_get_tuples_inserted('evidence_0'::regclass)}), '0', 'the crash took the counters');
is(run('postgres', '2026-04-02'), "scan|sampled|1000|\nevidence|sampled|20000|\nevidence|analyzed||",
	'after a crash the parent is due, and the rows are known');
is(run('postgres', '2026-04-03'), "scan|sampled|1000|\nevidence|sampled|20000|", 'once');

done_testing();
