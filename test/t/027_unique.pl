# Six sessions write rows whose ids come from a small set, into random partitions, while partitions are made, drained from
# DEFAULT, and taken away: without a unique check ids come twice, with one never. Nobody gets an error but for an id that is taken, or for a
# deadlock, as two who wait for each other get it with an exclusion constraint. Then the same across the other ways in which
# rows get from one partition to another, and what the check costs those that it doesn't concern.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;

take_seed();
my $node = new_server('main', 'deadlock_timeout = 10ms', 'autovacuum_naptime = 1s', 'track_functions = all');
$node->safe_psql('postgres', q{
	CREATE TABLE item (id int NOT NULL, v int NOT NULL DEFAULT 0, at int NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
	CREATE INDEX ON item (v);
	SELECT count(*) FROM privacy_scan.manage_partitions('item', 'at', step => 100, premake => 2, start => 0)});

# A session's statements: most insert; some delete, rename, move, or update what no check looks at (but an index does, so that
# the row gets a new version with entries of its own, which a look-up must not miss). Some are part of larger transactions, which
# last for a moment: others meet their rows uncommitted.
sub statements
{
	my ($count) = @_;
	my $text = '';
	for (1 .. $count)
	{
		my ($id, $other) = (int(rand(60)), int(rand(60)));
		my $at = int(rand(2400));
		my $dice = rand();
		# Some ids are new, and everybody's at the same time.
		$id = '1000000 + (extract(epoch FROM clock_timestamp()) * 25)::bigint % 100000000' if rand() < 0.5;
		my $insert = "INSERT INTO item VALUES ($id, 0, $at);\n";
		if ($dice < 0.3) { $text .= $insert }
		elsif ($dice < 0.4) { $text .= "UPDATE item SET v = v + 1 WHERE id = $other;\n" }
		elsif ($dice < 0.6) { $text .= "DELETE FROM item WHERE id = $other;\n" }
		elsif ($dice < 0.65) { $text .= "UPDATE item SET at = $at WHERE id = $other;\n" }
		elsif ($dice < 0.7) { $text .= "UPDATE item SET id = $id WHERE id = $other;\n" }
		elsif ($dice < 0.75) { $text .= "INSERT INTO item SELECT $id + n, 0, ($at + n * 700) % 2400 FROM generate_series(0, 2) n ON CONFLICT DO NOTHING;\n" }
		else { $text .= 'BEGIN' . (rand() < 0.5 ? ' ISOLATION LEVEL REPEATABLE READ' : '') . ";\nDELETE FROM item WHERE id = $other;\nSAVEPOINT s;\n$insert"
			  . (rand() < 0.3 ? "ROLLBACK TO s;\n$insert" : '') . "SELECT pg_sleep(0.003);\nCOMMIT;\n" }
	}
	return $text;
}

# Partitions are made ahead, with rows of DEFAULT and without, and one that holds rows leaves.
sub disturb
{
	my ($round) = @_;
	my $from = 100 * ($round % 24);
	$node->psql('postgres', "SELECT count(*) FROM privacy_scan.ensure_partitions('item', $from, $from + 100)");
	$node->psql('postgres', "SELECT count(*) FROM privacy_scan.maintain_partitions('item')");
	$node->psql('postgres', q{SET lock_timeout = '1s'; ALTER TABLE item DETACH PARTITION item_100; DROP TABLE item_100}) if $round % 5 == 0;
	return;
}

sub run_sessions
{
	my ($name, $count) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my @sessions;
	for my $n (1 .. 6)
	{
		PostgreSQL::Test::Utils::append_to_file("$dir/$n.sql", statements($count));
		push @sessions, { err => "$dir/$n.err", session => IPC::Run::start(
			[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=0', '-v', 'VERBOSITY=sqlstate', '-f', "$dir/$n.sql" ],
			'>', "$dir/$n.out", '2>', "$dir/$n.err") };
	}
	for (my $round = 1; is_writing(@sessions); ++$round)
	{
		disturb($round);
	}
	$_->{session}->finish for @sessions;
	my %errors;
	for my $session (@sessions)
	{
		# Statements that follow a failed one in a transaction say 25P02 or 3B001; one in REPEATABLE READ may say 40001.
		$errors{$_}++ for slurp_file($session->{err}) =~ /ERROR:\s+(\w{5})/g;
	}
	note("$name: ", join(', ', map { "$_ $errors{$_} times" } sort keys %errors));
	return %errors;
}

my $twice = q{SELECT count(*) FROM privacy_scan.find_duplicates('item', '{id}', 100)};

my %errors = run_sessions('without a check', 250);
cmp_ok($node->safe_psql('postgres', $twice), '>', 10, 'without a check ids come twice');
my ($code, $out, $err) = $node->psql('postgres', q{CALL privacy_scan.add_unique_check('item')});
like($err, qr/are not unique/, 'such rows are in the way of a check');
$node->safe_psql('postgres', q{DELETE FROM item});
$node->safe_psql('postgres', q{CALL privacy_scan.add_unique_check('item')});

%errors = run_sessions('with a check', 1200);
is($node->safe_psql('postgres', $twice), '0', 'with it never');
is($node->safe_psql('postgres', 'SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off;
	SELECT count(*) - count(DISTINCT id) FROM item'), '0', 'also as the rows themselves say');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM item'), '>', 10, 'there are rows');
cmp_ok($errors{23505} // 0, '>', 300, 'taken ids were refused');
delete @errors{qw(23505 40P01 40001 25P02 3B001)};
is(join(' ', keys %errors), '', 'nobody got another error');

# A partition that is split while they write: the pieces are looked into from the switch on.
$node->safe_psql('postgres', q{SELECT count(*) FROM privacy_scan.set_partitions('item', step => 20)});
my $dir = PostgreSQL::Test::Utils::tempdir();
PostgreSQL::Test::Utils::append_to_file("$dir/writer.sql", statements(300));
my @writers = map { { session => IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', "$dir/writer.sql" ], '>', "$dir/out$_", '2>', "$dir/err$_") } } 1 .. 3;
$node->safe_psql('postgres', q{CALL privacy_scan.run_split('item_200', drop_sources => true)});
$_->{session}->finish for @writers;
is($node->safe_psql('postgres', $twice), '0', 'nor while a partition is split');
is($node->safe_psql('postgres', q{SELECT state FROM privacy_scan.unique_checks}), 'kept', 'its pieces have the check');

# An update that doesn't touch the id doesn't call it at all.
my $calls = q{SELECT pg_stat_clear_snapshot(); SELECT coalesce(sum(calls), 0) FROM pg_stat_user_functions WHERE funcname = 'check_unique'};
my $session = $node->background_psql('postgres');
$session->query_safe(q{SELECT pg_stat_reset()});
$node->poll_query_until('postgres', q{SELECT coalesce(sum(calls), 0) = 0 FROM pg_stat_user_functions WHERE funcname = 'check_unique'});
$session->query_safe(q{UPDATE item SET v = v + 1});
$session->quit;
$node->safe_psql('postgres', q{INSERT INTO item VALUES (1000, 0, 5), (1001, 0, 305)});
$node->poll_query_until('postgres', q{SELECT sum(calls) >= 2 FROM pg_stat_user_functions WHERE funcname = 'check_unique'});
is((split /\n/, $node->safe_psql('postgres', $calls))[-1], '2', 'an update of something else does not call it');

done_testing();
