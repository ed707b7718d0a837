# Ids in a database whose own collation sorts by language: lower-case ids need nothing, mixed-case ids need columns
# with the collation "C", and a family by such ids goes into the archive whole, whatever the database sorts like.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;

my $node = new_server('main');
plan skip_all => 'a database has no ICU collation of its own before PostgreSQL 15'
  if $node->safe_psql('postgres', 'SHOW server_version_num') < 150000;
$node->safe_psql('postgres',
	q{CREATE DATABASE icu TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C.UTF-8'});
$node->safe_psql('icu', 'CREATE EXTENSION privacy_scan');
is($node->safe_psql('icu', q{SELECT 'a' < 'B' AND 'B' < 'c'}), 't', 'the database sorts by language');

# A family by ids of that kind, 200 scans over two years, ten rows of evidence each.
sub family
{
	my ($kind, $rest, $collation) = @_;
	return $node->psql('icu', qq{
		DROP SCHEMA IF EXISTS public_archive CASCADE;
		DROP TABLE IF EXISTS evidence, scan;
		CREATE TABLE scan (id text $collation PRIMARY KEY) PARTITION BY RANGE (id);
		CREATE TABLE evidence (id int, scan text $collation NOT NULL REFERENCES scan ON DELETE CASCADE,
			PRIMARY KEY (scan, id)) PARTITION BY RANGE (scan);
		SELECT privacy_scan.manage_partitions(t::regclass, 'id', '1 month', start => '2023-01-01',
			key_kind => '$kind') FROM (VALUES ('scan')) v (t);
		SELECT privacy_scan.manage_partitions('evidence', 'scan', '1 month', start => '2023-01-01',
			key_kind => '$kind');
		INSERT INTO scan SELECT overlay(privacy_scan.key_at('$kind', timestamptz '2023-01-01 UTC' + n * interval '87 hours')
			|| '$rest' PLACING lpad(n::text, 4, '0') FROM 20) FROM generate_series(1, 200) n;
		INSERT INTO evidence SELECT n, id FROM scan, generate_series(1, 10) n});
}

my $archived = q{SELECT (SELECT count(*) FROM public_archive.scan_archive),
	(SELECT count(*) FROM public_archive.evidence_archive), (SELECT count(*) FROM scan), (SELECT count(*) FROM evidence),
	(SELECT count(*) FROM privacy_scan.partition_sets WHERE default_rows > 0)};

is(family('cuid', '0000abcdabcdabcd', ''), 0, 'lower-case ids are partitioned as they are');
$node->safe_psql('icu', q{SELECT privacy_scan.set_retention('scan', '1 day', 'id');
	SELECT privacy_scan.apply_retention('scan', max_rows => 10000, dry_run => false)});
is($node->safe_psql('icu', $archived), '200|2000|0|0|0', 'and all of them are archived');

isnt(family('ksuid', '', ''), 0, 'mixed-case ids are refused');
is(family('ksuid', '', 'COLLATE "C"'), 0, 'but for columns with the collation "C"');
$node->safe_psql('icu', q{SELECT privacy_scan.set_retention('scan', '1 day', 'id');
	SELECT privacy_scan.apply_retention('scan', max_rows => 10000, dry_run => false)});
is($node->safe_psql('icu', $archived), '200|2000|0|0|0', 'of which all are archived, none is lost on the way');

$node->stop;
done_testing();
