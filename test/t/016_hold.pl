# A hold that is placed and not committed: whoever wants to remove rows, or to place another hold, gives up in time and
# says who is in the way; writers of the root are not.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;

my $node = new_server('main');
$node->safe_psql('postgres', q{
	CREATE EXTENSION IF NOT EXISTS privacy_scan;
	CREATE TABLE scan (id int PRIMARY KEY, at timestamp);
	INSERT INTO scan VALUES (1, '2020-01-01'), (2, '2020-01-01'), (3, now());
	SELECT privacy_scan.set_retention('scan', '1 year', 'at')});

# A session that does something and then idles in its transaction; its process.
my @sessions;

sub idle_after
{
	my ($name, $sql) = @_;
	my ($out, $err) = ('', '');
	push @sessions, IPC::Run::start([ 'env', "PGAPPNAME=$name", 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "BEGIN; $sql; SELECT pg_sleep(600)" ],
		'>', \$out, '2>', \$err);
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = '$name' AND wait_event = 'PgSleep'")
	  or die "$name does not idle";
	return $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE application_name = '$name'");
}

my $released = $node->safe_psql('postgres', q{SELECT privacy_scan.hold('scan', ARRAY['3'], 'first')});
my $holder = idle_after('holder', q{SELECT privacy_scan.hold('scan', ARRAY['1'], 'case')});
my $writer = idle_after('writer', 'UPDATE scan SET at = at WHERE id = 3');

for my $call (q{CALL privacy_scan.run_retention('scan')}, q{SELECT privacy_scan.hold('scan', ARRAY['2'], 'another')})
{
	my ($out, $err);
	my $status = $node->psql('postgres', "SET privacy_scan.lock_timeout = '100ms';\nSET privacy_scan.lock_attempts = 3;\n$call", stdout => \$out, stderr => \$err,
		timeout => 60);
	isnt($status, 0, "$call gives up");
	like($err, qr/lock timeout.*held by pid $holder\b/, 'and says who is in the way');
}
my ($out, $err);
$node->psql('postgres', "SELECT privacy_scan.release_hold($released)", stdout => \$out, stderr => \$err, timeout => 60);
like($err, qr/lock timeout/, 'nor does a release wait for ever');
is($node->safe_psql('postgres', 'SELECT count(*) FROM scan'), '3', 'nothing was removed');

# The end of the session is the end of its hold: all goes on.
$node->safe_psql('postgres', "SELECT pg_terminate_backend($holder), pg_terminate_backend($writer)");
$_->finish for @sessions;
$node->safe_psql('postgres', "SELECT privacy_scan.hold('scan', ARRAY['2'], 'another'), privacy_scan.release_hold($released)");
$node->safe_psql('postgres', q{CALL privacy_scan.run_retention('scan')});
is($node->safe_psql('postgres', 'SELECT string_agg(id::text, $$ $$ ORDER BY id) FROM scan'), '2 3', 'what is held stays');

done_testing();
