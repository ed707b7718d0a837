# A job of retention vacuums what it thinned out, in a session and in the worker, as steps of its run: the space can be
# used again and the pages are visible to all at once. Not where little was removed, not where it is turned off; and what
# is in the way keeps nobody's rows from being archived.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;

my $node = new_server('main', q{shared_preload_libraries = 'privacy_scan'}, 'privacy_scan.worker_naptime = 1s', 'autovacuum = off');
$node->safe_psql('postgres', q{
	CREATE EXTENSION pg_visibility;
	CREATE ROLE keeper NOLOGIN;
	CREATE SCHEMA store AUTHORIZATION keeper;
	SET ROLE keeper;
	CREATE TABLE store.scan (id int PRIMARY KEY, at timestamp NOT NULL, body text NOT NULL);
	CREATE TABLE store.evidence (id int, "scanId" int NOT NULL REFERENCES store.scan ON DELETE CASCADE, at timestamp NOT NULL, body text) PARTITION BY RANGE (at);
	CREATE TABLE store.evidence_old PARTITION OF store.evidence FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
	CREATE TABLE store.evidence_new PARTITION OF store.evidence DEFAULT;
	CREATE INDEX ON store.evidence ("scanId");
	RESET ROLE;
	CREATE VIEW thin AS SELECT c.relname, count(*) FILTER (WHERE NOT v.all_visible) AS pages, s.vacuum_count
	FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid CROSS JOIN LATERAL pg_visibility_map(c.oid) v
	WHERE c.relnamespace = 'store'::regnamespace AND c.relkind = 'r' GROUP BY c.relname, s.vacuum_count;
	INSERT INTO store.scan SELECT n, now(), repeat('x', 1000) FROM generate_series(1, 10000) n;
	INSERT INTO store.evidence SELECT n, n, CASE WHEN n <= 9000 THEN timestamp '2020-06-01' ELSE now() END, repeat('y', 1000) FROM generate_series(1, 10000) n;
	VACUUM;
	SELECT privacy_scan.set_retention('store.scan', '1 year', 'at')});

sub thin
{
	return $node->safe_psql('postgres', q{SELECT string_agg(concat(relname, ' ', pages > 0), ', ' ORDER BY relname) FROM thin});
}

is(thin(), 'evidence_new f, evidence_old f, scan f', 'at first all pages are visible to all');
# Has so many more families expire.
my $expired = 0;
my $run = q{CALL privacy_scan.run_job('retention store.scan')};

sub expire
{
	my ($count) = @_;
	my ($from, $to) = ($expired + 1, $expired += $count);
	$node->safe_psql('postgres', "UPDATE store.scan SET at = '2020-06-01' WHERE id BETWEEN $from AND $to; VACUUM store.scan");
	return;
}

sub check_archived
{
	my ($name) = @_;
	return is($node->safe_psql('postgres', 'SELECT count(*) FROM store.scan'), 10000 - $expired, "$name: what has expired is archived");
}

# VACUUM leaves rows that an older snapshot may see, as one of the worker's or of a poll in just that moment. That happens now and
# then, and is shown; whoever vacuums with a snapshot of its own, or doesn't, leaves them each time.
sub check_vacuumed
{
	my ($name, $thin_out) = @_;
	for my $try (1 .. 3)
	{
		my $size = -s $node->logfile;
		expire(1000);
		$thin_out->();
		check_archived($name);
		last if thin() eq 'evidence_new f, evidence_old f, scan f';
		diag("$name, try $try: ", $node->safe_psql('postgres', 'TABLE thin'), "\n", slurp_file($node->logfile, $size));
	}
	return is(thin(), 'evidence_new f, evidence_old f, scan f', "$name: what was thinned out is vacuumed");
}

expire(500);
$node->safe_psql('postgres', "SET privacy_scan.retention_vacuum_percent = 0; $run");
check_archived('turned off');
is(thin(), 'evidence_new f, evidence_old t, scan t', 'turned off: nothing is vacuumed');

check_vacuumed('in a session', sub { $node->safe_psql('postgres', $run) });
is($node->safe_psql('postgres', q{SELECT vacuum_count FROM thin WHERE relname = 'evidence_new'}), '1', 'in a session: nothing else is');

expire(20);
$node->safe_psql('postgres', $run);
check_archived('a few rows');
is(thin(), 'evidence_new f, evidence_old t, scan t', 'a few rows: not worth it');

check_vacuumed('the worker', sub {
	my $id = $node->safe_psql('postgres', q{SELECT privacy_scan.request_job('retention store.scan')});
	$node->poll_query_until('postgres', "SELECT outcome = 'done' FROM privacy_scan.job_runs WHERE id = $id") or die 'the worker does not come to its end';
});

expire(1000);
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE store.scan IN SHARE UPDATE EXCLUSIVE MODE');
my $pid = $holder->query_safe('SELECT pg_backend_pid()');
my ($status, undef, $said) = $node->psql('postgres', $run);
is($status, 0, 'in the way: the job comes to its end');
like($said, qr/"store"\."scan" was not vacuumed: SQLSTATE 55P03: .*\(held by pid $pid\)/, 'in the way: and says what it left, and to whom');
check_archived('in the way');
is(thin(), 'evidence_new f, evidence_old f, scan t', 'in the way: the others are vacuumed');
$holder->quit;

# A partition that nothing is left in gives all of its space back, though its pages are few, and the next run drops it.
$node->safe_psql('postgres', q{
	SET ROLE keeper;
	CREATE TABLE store.visit (id int PRIMARY KEY, at timestamp NOT NULL);
	CREATE TABLE store.trace (visit int NOT NULL REFERENCES store.visit, at timestamp NOT NULL) PARTITION BY RANGE (at);
	CREATE TABLE store.trace_gone PARTITION OF store.trace FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
	CREATE TABLE store.trace_late PARTITION OF store.trace FOR VALUES FROM ('2020-02-01') TO ('2020-03-01');
	RESET ROLE;
	INSERT INTO store.visit VALUES (1, '2020-01-10'), (2, now());
	INSERT INTO store.trace VALUES (1, '2020-01-10'), (2, '2020-02-10'), (1, '2020-02-10');
	SELECT count(*) FROM privacy_scan.manage_partitions('store.trace', 'at', '1 month');
	SELECT privacy_scan.set_retention('store.visit', '1 year', 'at')});
my $traces = q{SELECT string_agg(concat_ws(' ', relname, pg_relation_size(c.oid) > 0), ', ' ORDER BY relname)
	FROM pg_class c WHERE relname IN ('trace_gone', 'trace_late')};
my $size = -s $node->logfile;
$node->safe_psql('postgres', q{CALL privacy_scan.run_job('retention store.visit')});
is($node->safe_psql('postgres', $traces), 'trace_gone f, trace_late t', 'emptied: its pages are given back, another keeps its own');
$node->safe_psql('postgres', q{CALL privacy_scan.run_job('retention store.visit')});
is($node->safe_psql('postgres', $traces), 'trace_late t', 'and the next run drops it');
like(slurp_file($node->logfile, $size), qr/LOG:  retention dropped empty partition "store"."trace_gone"/, 'which the log says');

done_testing();
