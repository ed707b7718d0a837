# A hot standby: reading works, what writes says that this is a standby; drained rows and
# old snapshots are right there, too; after promotion the work goes on.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;

my $primary = new_server('primary');
make_store($primary);
$primary->safe_psql('postgres', 'CREATE ROLE somebody');
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;

$primary->safe_psql('postgres', q{
	INSERT INTO event (scan_id, at, body)
	SELECT 1, timestamptz '2027-06-01 UTC' + n * interval '1 hour', repeat(n::text, 3000) FROM generate_series(1, 100) n});

# Draining goes through to the standby.
my $rows = q{SELECT count(*), count(DISTINCT id), sum(length(body)) FROM event};
my $there = $primary->safe_psql('postgres', $rows);
my $drained = $primary->safe_psql('postgres', q{SELECT sum(rows) FROM privacy_scan.drain_default('event')});
is($drained, '100', 'drained on the primary');
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $rows), $there, 'the standby has the rows once');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM event_default}), '0', 'none of them in DEFAULT');
is($standby->safe_psql('postgres', q{SET enable_seqscan = off; SELECT count(*) FROM event WHERE scan_id = 1}),
	'100', 'through an index, too');

# Reading works.
is( $standby->safe_psql('postgres', q{SELECT count(*) > 5 FROM privacy_scan.partitions WHERE parent = 'event'::regclass}),
	't', 'the view partitions');
is( $standby->safe_psql('postgres', q{SELECT relation, partitions > 3, default_rows FROM privacy_scan.partition_sets ORDER BY 1}),
	"event|t|0\nreading|f|", 'the view partition_sets');
like($standby->safe_psql('postgres', q{SELECT status FROM privacy_scan.health() WHERE component = 'server'}),
	qr/standby/, 'health() says what this is');

# What writes is no error: whoever calls it by the clock need not know where the primary is. What returns rows of what it did
# returns one that says standby.
my %says = (
	q{SELECT relation, action, sqlstate IS NULL FROM privacy_scan.maintain_partitions()} => '|standby|t',
	q{SELECT relation, action FROM privacy_scan.maintain_partitions('event')} => 'event|standby',
	q{SELECT action FROM privacy_scan.manage_partitions('event', 'at', '1 day')} => 'standby',
	q{SELECT action FROM privacy_scan.manage_partitions('reading', 'id', 100)} => 'standby',
	q{SELECT action FROM privacy_scan.set_partitions('event', premake => 5)} => 'standby',
	q{SELECT action FROM privacy_scan.ensure_partitions('event', timestamptz '2030-01-01', timestamptz '2030-02-01')} => 'standby',
	q{SELECT action FROM privacy_scan.ensure_partitions('reading', 5000, 6000)} => 'standby',
	q{SELECT action FROM privacy_scan.drain_default('event')} => 'standby',
	q{SELECT relation, action, message FROM privacy_scan.collect_statistics()} => '|standby|this server is a standby; call it on the primary',
	q{SELECT relation, action, reason FROM privacy_scan.apply_retention('scan', dry_run => false)} => 'scan|standby|this server is a standby; call it on the primary',
	q{SELECT action FROM privacy_scan.restore_archive('scan', ARRAY['1'])} => 'standby',
	q{SELECT action FROM privacy_scan.restore_archive(1)} => 'standby',
	q{SELECT state FROM privacy_scan.drill_archive(1)} => 'standby',
	q{SELECT action FROM privacy_scan.erase('scan', ARRAY['1'], 'request')} => 'standby',
	q{SELECT action FROM privacy_scan.erase('scan', ARRAY['1'], 'request', false)} => 'standby',
	q{SELECT state FROM privacy_scan.verify_archive()} => 'standby',
	q{SELECT state FROM privacy_scan.check_archives()} => 'standby',
	q{SELECT state FROM privacy_scan.adopt_table('scan', every => '1 month')} => 'standby',
	q{SELECT state FROM privacy_scan.cancel_adoption('scan')} => 'standby',
	q{SELECT state FROM privacy_scan.undo_adoption('scan')} => 'standby',
	q{SELECT state, message FROM privacy_scan.split_partition('event')} => 'standby|this server is a standby; call it on the primary',
	q{SELECT state FROM privacy_scan.merge_partitions('{event,scan}')} => 'standby');
is($standby->safe_psql('postgres', $_), $says{$_}, "a row: $_") for sort keys %says;

# A procedure, and a function with room for one value only, says it in a WARNING; the value is NULL.
my @warning = (
	q{CALL privacy_scan.run_drain('event')}, q{CALL privacy_scan.run_maintenance()}, q{CALL privacy_scan.run_statistics()},
	q{CALL privacy_scan.run_retention()}, q{CALL privacy_scan.apply_plan(1)}, q{SELECT privacy_scan.make_plan('scan') IS NULL}, q{CALL privacy_scan.run_due_jobs()}, q{CALL privacy_scan.run_job('partitions event')},
	q{SELECT privacy_scan.request_job('partitions event') IS NULL}, q{SELECT privacy_scan.pause_job('partitions event') IS NULL},
	q{SELECT privacy_scan.resume_job('partitions event') IS NULL}, q{SELECT privacy_scan.schedule_job('partitions event', '1 hour') IS NULL},
	q{SELECT privacy_scan.use_pg_cron() IS NULL}, q{SELECT privacy_scan.use_worker() IS NULL},
	q{SELECT privacy_scan.unmanage_partitions('event') IS NULL}, q{SELECT privacy_scan.drop_time_checks('event') IS NULL},
	q{CALL privacy_scan.add_time_checks('event', 'at')}, q{CALL privacy_scan.run_index('event', '{scan_id}')},
	q{CALL privacy_scan.run_adoption('scan')}, q{CALL privacy_scan.run_split('event')}, q{SELECT privacy_scan.cancel_split('event') IS NULL},
	q{CALL privacy_scan.run_merge('{event,scan}')}, q{SELECT privacy_scan.reshape_partitions('event') IS NULL},
	q{SELECT privacy_scan.cancel_reshape('event') IS NULL},
	q{SELECT privacy_scan.set_retention('event', '1 year', 'at') IS NULL}, q{SELECT privacy_scan.drop_retention('event') IS NULL},
	q{SELECT privacy_scan.cleanup_old_scans() IS NULL},
	q{SELECT privacy_scan.hold('scan', ARRAY['1'], 'case') IS NULL}, q{SELECT privacy_scan.release_hold(1) IS NULL},
	q{SELECT file IS NULL FROM privacy_scan.export_archive(1)}, q{SELECT privacy_scan.confirm_archive(1) IS NULL},
	q{SELECT privacy_scan.restore_file(1) IS NULL}, q{CALL privacy_scan.add_unique_check('event')},
	q{SELECT privacy_scan.drop_unique_check('event') IS NULL}, q{CALL privacy_scan.export_archives()});
for my $sql (@warning)
{
	my ($status, $out, $err) = $standby->psql('postgres', $sql);
	like("$status|$out|$err", qr/^0\|t?\|.*WARNING:  this server is a standby; call it on the primary$/, "a WARNING: $sql");
}

# Nothing that writes was left out. Plans only read.
my $asked = join ' ', keys %says, @warning;
my @writing = split /\n/, $standby->safe_psql('postgres', q{
	SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'privacy_scan'::regnamespace AND provolatile = 'v' AND prokind IN ('f', 'p')
	AND proname !~ '^plan_' AND NOT has_function_privilege('somebody', oid, 'EXECUTE')});
cmp_ok(scalar @writing, '>', 30, 'functions that write');
is(join(' ', grep { $asked !~ /privacy_scan\.$_\(/ } sort @writing), '', 'all of them were asked');

# A reader of the standby whose snapshot is older than a change and a drain.
$standby->append_conf('postgresql.conf', 'hot_standby_feedback = on');
$standby->reload;
$primary->safe_psql('postgres', q{
	INSERT INTO event (id, scan_id, at, body) VALUES (1000001, 2, '2027-08-01 UTC', 'before');
	INSERT INTO event (id, scan_id, at, body) VALUES (1000002, 2, '2027-08-01 UTC', 'before')});
$primary->wait_for_catchup($standby);
my $reader = $standby->background_psql('postgres');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;');
$primary->poll_query_until('postgres', q{SELECT backend_xmin IS NOT NULL FROM pg_stat_replication})
  or die 'the standby does not report its snapshot';
$primary->safe_psql('postgres', q{
	UPDATE event SET body = 'after' WHERE id = 1000001;
	SELECT count(*) FROM privacy_scan.drain_default('event')});
$primary->wait_for_catchup($standby);
is($reader->query_safe('SELECT id, body FROM event WHERE scan_id = 2 ORDER BY id;'), "1000001|before\n1000002|before",
	'a snapshot from before sees what was before');
is($reader->query_safe("SET enable_seqscan = off; SELECT id, body FROM event WHERE id = 1000001 AND at = '2027-08-01 UTC';"),
	'1000001|before', 'through an index, too');
$reader->quit;

# The standby takes over.
$standby->promote;
is( $standby->safe_psql('postgres', q{
		UPDATE clock SET at = at + interval '2 days';
		SELECT DISTINCT action FROM privacy_scan.maintain_partitions('event', at => (SELECT at FROM clock))}),
	'created', 'after the promotion partitions are created');
cmp_ok(converge($standby), '<=', 3, 'and maintenance comes to an end');
check_layout($standby, 'promoted');
is($standby->safe_psql('postgres', $rows . ' WHERE scan_id = 1'), $there, 'the rows are there');

done_testing();
