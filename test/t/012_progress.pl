# A running job is seen live where the library is preloaded: how far it is, whose lock it waits for; by nobody but the
# relation's owner; and it leaves nothing behind however it ends.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;

my $node = new_server('main', q{shared_preload_libraries = 'privacy_scan'}, 'privacy_scan.worker_naptime = 1s',
	'privacy_scan.retention_batch_rows = 10', 'privacy_scan.lock_timeout = 60s', 'autovacuum = off');
$node->safe_psql('postgres', q{
	CREATE ROLE stranger;
	CREATE TABLE scan (id int PRIMARY KEY, at timestamptz NOT NULL);
	INSERT INTO scan SELECT i, '2020-01-01' FROM generate_series(1, 50) i;
	CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF old.id = 25 THEN PERFORM pg_advisory_xact_lock(1); END IF;
		RETURN old;
	END $$;
	CREATE TRIGGER gate BEFORE DELETE ON scan FOR EACH ROW EXECUTE FUNCTION gate();
	SELECT privacy_scan.set_retention('scan', '1 year', 'at')});

sub run_to_the_gate
{
	my ($name) = @_;
	my $holder = $node->background_psql('postgres');
	$holder->query_safe('SELECT pg_advisory_lock(1)');
	my $pid = $holder->query_safe('SELECT pg_backend_pid()');
	my $run = $node->safe_psql('postgres', q{SELECT privacy_scan.request_job('retention scan')});
	ok($node->poll_query_until('postgres', "SELECT waiting_on = 'pid $pid' FROM privacy_scan.progress WHERE job = 'retention public.scan'"),
		"$name: the job waits, and says for whom");
	return ($holder, $run);
}

my ($holder, $run) = run_to_the_gate('first');
is( $node->safe_psql('postgres', q{
		SELECT phase, relation, done BETWEEN 1 AND 24, total, rate > 0, estimated_end > now() FROM privacy_scan.progress WHERE job ~ 'retention'}),
	'archiving rows|scan|t|50|t|t', 'how far it is');
is($node->safe_psql('postgres', "SELECT p.pid = r.pid FROM privacy_scan.progress p, privacy_scan.job_runs r WHERE r.id = $run AND p.job ~ 'retention'"),
	't', 'of the process that runs it');
is($node->safe_psql('postgres', 'SELECT count(*) FROM privacy_scan.job_states WHERE phase IS NOT NULL'), '0', 'no row was written for that');
is($node->safe_psql('postgres', q{SELECT count(*) FROM privacy_scan.list_progress()}), '1', 'it is in shared memory');
is( $node->safe_psql('postgres', q{
		SET ROLE stranger; SELECT (SELECT count(*) FROM privacy_scan.progress) + (SELECT count(*) FROM privacy_scan.list_progress())}),
	'0', 'a stranger sees nothing of it');
is($node->safe_psql('template1', 'CREATE EXTENSION privacy_scan; SELECT count(*) FROM privacy_scan.list_progress()'), '0',
	'nor does another database');
$holder->quit;
ok($node->poll_query_until('postgres', "SELECT outcome = 'done' FROM privacy_scan.job_runs WHERE id = $run"), 'it comes to its end');
# Its place is given up after its end is committed.
ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM privacy_scan.list_progress() WHERE kind = 'retention'}), 'and is gone');
is($node->safe_psql('postgres', q{SELECT count(*) FROM scan}), '0', 'with all that had expired');

# A session that runs a job is seen, too, and leaves nothing behind when it is terminated.
$node->safe_psql('postgres', q{INSERT INTO scan SELECT i, '2020-01-01' FROM generate_series(1, 50) i; TRUNCATE public_archive.scan_archive});
($holder, $run) = run_to_the_gate('second');
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM privacy_scan.progress});
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM privacy_scan.list_progress()'), 'terminated: gone');
is($node->safe_psql('postgres', "SELECT outcome FROM privacy_scan.job_runs WHERE id = $run"), 'cancelled', 'and written down');
my $session = $node->background_psql('postgres', on_error_stop => 0);
my $session_pid = $session->query_safe('SELECT pg_backend_pid()');
$session->query_until(qr/^$/m, "CALL privacy_scan.run_job('retention scan');\n");
ok($node->poll_query_until('postgres', "SELECT waiting_on IS NOT NULL FROM privacy_scan.progress WHERE pid = $session_pid"),
	'a session that runs it is seen');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($session_pid)");
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM privacy_scan.list_progress()'), 'terminated: gone');
$holder->quit;

done_testing();
