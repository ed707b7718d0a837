# pg_dump takes the policies with it; in the restored database maintenance goes on where it was. A policy whose
# relation was dropped is not dumped: its OID may be another relation's in the new database.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;

my $node = new_server('main');
make_store($node);
$node->safe_psql('postgres', q{
	INSERT INTO event (scan_id, at, body) SELECT 1, '2026-01-09 UTC', 'here' FROM generate_series(1, 10);
	INSERT INTO event (scan_id, at, body) VALUES (1, '2027-01-09 UTC', 'stray');
	CREATE TABLE "Odd ""name" ("At" timestamp(3) NOT NULL, id text) PARTITION BY RANGE ("At");
	SELECT count(*) FROM privacy_scan.manage_partitions('"Odd ""name"', 'At', every => '1 month');
	CREATE TABLE gone (id bigint NOT NULL) PARTITION BY RANGE (id);
	SELECT count(*) FROM privacy_scan.manage_partitions('gone', 'id', step => 10);
	DROP TABLE gone});
$node->safe_psql('postgres', q{CALL privacy_scan.add_unique_check('event')});

my $dump = "$PostgreSQL::Test::Utils::tmp_check/dump";
my $policies = q{SELECT relation, key_column, every, step, premake, time_zone, default_partition
	FROM privacy_scan.partition_sets ORDER BY relation::text};
my $layout = q{SELECT parent, partition, lower_bound, upper_bound FROM privacy_scan.partitions
	ORDER BY parent::text, partition::text};

for my $format ('plain', 'custom')
{
	my $name = "restored from a $format dump";
	$node->command_ok([ 'pg_dump', "--format=$format", "--file=$dump.$format", $node->connstr('postgres') ],
		"$format dump");
	$node->safe_psql('postgres', "CREATE DATABASE $format");
	my @restore = $format eq 'plain'
	  ? ('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($format), '-f', "$dump.$format")
	  : ('pg_restore', '--exit-on-error', '-d', $node->connstr($format), "$dump.$format");
	$node->command_ok(\@restore, $name);
	is($node->safe_psql($format, $policies), $node->safe_psql('postgres', $policies), "$name: the policies");
	is($node->safe_psql($format, $layout), $node->safe_psql('postgres', $layout), "$name: the partitions");
	is($node->safe_psql($format, 'SELECT count(*) FROM privacy_scan.partition_policies'), '3',
		"$name: no policy without its relation");
	is( $node->safe_psql($format, q{
			SELECT partition, action, rows FROM privacy_scan.maintain_partitions('event',
				at => (SELECT at + interval '1 day' FROM clock)) ORDER BY 1}),
		qq{"public"."event_2026_01_14"|created|0\n"public"."event_2027_01_09"|drained|1}, "$name: maintenance goes on");
	is( $node->safe_psql($format, q{SELECT relation, columns, state, gaps, tgenabled FROM privacy_scan.unique_checks
			JOIN pg_trigger ON tgrelid = relation AND tgname = name}),
		'event|{id}|kept|{}|A', "$name: the unique check");
	my (undef, undef, $err) = $node->psql($format, q{INSERT INTO event (id, scan_id, at, body) SELECT id, 1, '2026-01-10 UTC', '' FROM event LIMIT 1});
	like($err, qr/violates unique constraint "privacy_scan_unique_id"/, "$name: which holds");
	is($node->safe_psql($format, 'SELECT count(*), count(DISTINCT id) FROM event'), '11|11', "$name: the rows");
}

# Dumped and restored by somebody who owns the relations alone.
$node->safe_psql('postgres', q{
	CREATE ROLE keeper LOGIN;
	CREATE DATABASE theirs OWNER keeper});
$node->safe_psql('theirs', q{
	CREATE EXTENSION privacy_scan;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA privacy_scan TO keeper;
	SET ROLE keeper;
	CREATE SCHEMA k;
	CREATE TABLE k.t (id bigint NOT NULL) PARTITION BY RANGE (id);
	SELECT count(*) FROM privacy_scan.manage_partitions('k.t', 'id', step => 10)});
# The policies are for a superuser's dumps; the owner of the relations leaves them out, and says again what he
# wants. The extension is there already: creating it takes a superuser.
$node->command_ok([ 'pg_dump', '-U', 'keeper', '--exclude-schema=privacy_scan', "--file=$dump.keeper",
		$node->connstr('theirs') ], 'dumped by the owner of the relations');
$node->safe_psql('postgres', 'CREATE DATABASE theirs_again OWNER keeper');
$node->safe_psql('theirs_again', q{
	CREATE EXTENSION privacy_scan;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA privacy_scan TO keeper});
$node->command_ok([ 'psql', '-X', '-q', '-U', 'keeper', '-d', $node->connstr('theirs_again'), '-f', "$dump.keeper" ],
	'restored by the owner of the relations');
is( $node->safe_psql('theirs_again', q{
		SET ROLE keeper;
		SELECT count(*) FROM privacy_scan.manage_partitions('k.t', 'id', step => 10);
		SELECT partition FROM privacy_scan.partitions WHERE parent = 'k.t'::regclass ORDER BY lower_bound::bigint}),
	"0\nk.t_0\nk.t_10\nk.t_20\nk.t_30\nk.t_40\nk.t_default", 'restored by the owner: managed again, nothing was missing');

# Whoever is let read the extension's tables dumps them, too.
$node->safe_psql('theirs', q{
	GRANT SELECT ON ALL TABLES IN SCHEMA privacy_scan TO keeper;
	GRANT SELECT ON ALL SEQUENCES IN SCHEMA privacy_scan TO keeper});
$node->command_ok([ 'pg_dump', '-U', 'keeper', "--file=$dump.whole", $node->connstr('theirs') ],
	'dumped whole by a role that may read the policies');
like(slurp_file("$dump.whole"), qr/COPY privacy_scan\.partition_policies .*\nk\.t\t/s, 'with the policies');

# Retention comes along by name, with its ledger; what was ruled and is gone doesn't.
$node->safe_psql('theirs', q{
	CREATE TABLE k.scan (id int PRIMARY KEY, at timestamptz NOT NULL);
	CREATE TABLE k.gone (id int PRIMARY KEY, at timestamptz NOT NULL);
	INSERT INTO k.scan VALUES (1, now() - interval '2 years'), (2, now());
	SELECT privacy_scan.set_retention(r, '1 year', 'at') FROM unnest('{k.scan,k.gone}'::regclass[]) AS r;
	DROP TABLE k.gone;
	CALL privacy_scan.run_retention('k.scan')});
$node->command_ok([ 'pg_dump', "--file=$dump.retention", $node->connstr('theirs') ], 'dumped with retention');
$node->safe_psql('postgres', 'CREATE DATABASE theirs_third OWNER keeper');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('theirs_third'), '-f',
		"$dump.retention" ], 'restored with retention');
is( $node->safe_psql('theirs_third', q{
		SELECT string_agg(root::text, ' ') FROM privacy_scan.retention_rules;
		SELECT a.rows, a.digest = (d.d).digest FROM privacy_scan.archives AS a,
			(SELECT privacy_scan.row_digest(s.*) AS d FROM k_archive.scan_archive AS s) AS d;
		INSERT INTO k.scan VALUES (3, now() - interval '3 years');
		CALL privacy_scan.run_retention();
		SELECT count(*), count(DISTINCT id) FROM privacy_scan.archives}),
	"k.scan\n1|t\n2|2", 'the policy, the ledger and its digests hold, and retention goes on');

done_testing();
