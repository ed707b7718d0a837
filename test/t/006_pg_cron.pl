# The real pg_cron runs the jobs that are due: as health() says to.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;

my $node = new_server('main', q{shared_preload_libraries = 'pg_cron'}, q{cron.database_name = 'postgres'},
	'cron.use_background_workers = on');
$node->safe_psql('postgres', q{
	CREATE EXTENSION pg_cron;
	CREATE TABLE event (id int, at timestamptz NOT NULL) PARTITION BY RANGE (at);
	SELECT count(*) FROM privacy_scan.manage_partitions('event', 'at', '1 day', premake => 1);
	CREATE TABLE scan (id int PRIMARY KEY, at timestamptz NOT NULL);
	INSERT INTO scan SELECT n, now() - n * interval '1 day' FROM generate_series(1, 800) n;
	SELECT privacy_scan.set_retention('scan', '400 days', 'at');
	INSERT INTO event SELECT n, now() + n * interval '1 day' FROM generate_series(2, 5) n});
is( $node->safe_psql('postgres', q{SELECT status FROM privacy_scan.health() WHERE component = 'schedule'}),
	'pg_cron', 'health() sees pg_cron');
$node->safe_psql('postgres', q{
	SELECT privacy_scan.request_job('retention scan');
	SELECT cron.schedule('privacy_scan', '* * * * *', 'CALL privacy_scan.run_due_jobs()')});

my $done = q{SELECT count(*) > 0 FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')};
ok($node->poll_query_until('postgres', $done), 'pg_cron came to its turn');
is( $node->safe_psql('postgres', q{SELECT DISTINCT status FROM cron.job_run_details WHERE status <> 'running'}),
	'succeeded', 'and succeeded');
is( $node->safe_psql('postgres', q{SELECT kind, last_outcome FROM privacy_scan.jobs ORDER BY 1}),
	"partitions|done\nretention|done\nstatistics|done", 'all jobs ran');
is( $node->safe_psql('postgres', q{SELECT count(*) FROM event_default}), '0', 'DEFAULT was drained');
is( $node->safe_psql('postgres', q{SELECT (SELECT count(*) BETWEEN 399 AND 401 FROM scan),
	(SELECT count(*) FROM scan) + (SELECT count(*) FROM public_archive.scan_archive)}), 't|800', 'scans were archived');

done_testing();
