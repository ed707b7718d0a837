# A machine whose clock is far ahead: every row would have expired. The job of retention stops, and says why; with the
# clock put right it goes on.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;

my $node = new_server('main', q{shared_preload_libraries = 'privacy_scan'}, 'privacy_scan.worker_naptime = 1s',
	'privacy_scan.retention_quiet_days = 31');
$node->safe_psql('postgres', q{
	CREATE TABLE scan (id int PRIMARY KEY, at timestamptz NOT NULL);
	INSERT INTO scan SELECT i, now() - i * interval '1 day' + interval '1 hour' FROM generate_series(1, 400) i;
	CREATE TABLE event (at timestamptz NOT NULL) PARTITION BY RANGE (at);
	SELECT count(*) FROM privacy_scan.manage_partitions('event', 'at', '1 year', premake => 1);
	SELECT privacy_scan.set_retention('scan', '380 days', 'at')});

# The outcome of a run by the worker.
sub outcome
{
	my $id = $node->safe_psql('postgres', q{SELECT privacy_scan.request_job('retention scan')});
	$node->poll_query_until('postgres', "SELECT finished_at IS NOT NULL FROM privacy_scan.job_runs WHERE id = $id") or die 'no answer';
	return $node->safe_psql('postgres', "SELECT outcome, rows, sqlstate FROM privacy_scan.job_runs WHERE id = $id");
}

sub set_clock
{
	my ($offset, $quiet) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET privacy_scan.clock_offset = '$offset'");
	$node->safe_psql('postgres', "ALTER SYSTEM SET privacy_scan.retention_quiet_days = $quiet");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('privacy_scan.clock_offset') = '$offset'") or die 'no reload';
	return;
}

is(outcome(), 'done|20|', 'the clock is right: what has expired goes');
set_clock('3650d', 31);
is(outcome(), 'failed|0|55000', 'ten years ahead: the job stops');
like($node->safe_psql('postgres', q{SELECT message FROM privacy_scan.jobs WHERE kind = 'retention'}),
	qr/newest row of "public"\."scan" is more than 31 days old/, 'and says why');
is($node->safe_psql('postgres', 'SELECT count(*) FROM scan'), '380', 'nothing has gone');
ok($node->poll_query_until('postgres', q{SELECT max(next_start) > now() + interval '9 years' FROM privacy_scan.jobs WHERE kind <> 'retention'}),
	'the others went by that clock');
is($node->safe_psql('postgres', q{SELECT status FROM privacy_scan.health() WHERE component = 'jobs'}), 'attention', 'health() asks for attention');
set_clock('0', 31);
is(outcome(), 'done|0|', 'put right, it goes on');
ok($node->poll_query_until('postgres', q{SELECT max(next_start) < now() + interval '8 days' FROM privacy_scan.jobs}),
	'and no job waits for the day that the clock had shown');
set_clock('3650d', 0);
is(outcome(), 'done|380|', 'and it was the guard that stopped it');

done_testing();
