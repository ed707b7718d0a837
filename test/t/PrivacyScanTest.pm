# What the TAP tests share: a server with the extension, a partitioned store, writers that keep a ledger of what
# the server acknowledged, and the checks that nothing of it is lost, doubled or left behind.
package PrivacyScanTest;

use strict;
use warnings;
use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(take_seed new_server new_archive_server make_hostile failure_of make_gated_job make_killing run_until await_recovery make_store advance_clock write_rows is_writing check_ledger check_layout converge);

# What is left to chance can be had again with PS_SEED.
sub take_seed
{
	my $seed = $ENV{PS_SEED} // time;
	srand($seed);
	note("PS_SEED=$seed");
	return;
}

# A running server, to which years are near, and stores quiet for years no reason to stop; settings are lines for its postgresql.conf.
sub new_server
{
	my ($name, @settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(allows_streaming => 1);
	$node->append_conf('postgresql.conf', $_)
	  for ('max_connections = 40', 'max_locks_per_transaction = 256', 'fsync = on', 'jit = off',
		'privacy_scan.partition_max_ahead = 100000', 'privacy_scan.retention_quiet_days = 0', @settings);
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION privacy_scan');
	return $node;
}

# The same with a directory for archive files, which is returned too, and partitions that go whole whatever they hold.
sub new_archive_server
{
	my $files = PostgreSQL::Test::Utils::tempdir();
	chmod 0700, $files;
	my $node = new_server('main', "privacy_scan.archive_directory = '$files'", 'privacy_scan.retention_whole_rows = 1',
		'privacy_scan.retention_keep_partitions = 1');
	return ($node, $files);
}

# How neither a database nor a role may bend what is written: settings of later sessions.
sub make_hostile
{
	my ($node) = @_;
	my ($locale) = grep { /^(de|fr)_/ } split /\n/, `locale -a`;
	$locale //= 'C';
	$node->safe_psql('postgres', join ';', (map { "ALTER DATABASE postgres SET $_" } "DateStyle = 'SQL, DMY'", "IntervalStyle = 'sql_standard'",
			'extra_float_digits = -15', "bytea_output = 'escape'", "TimeZone = 'Asia/Kathmandu'", "xmlbinary = 'hex'", 'array_nulls = off',
			'row_security = on', "client_encoding = 'LATIN1'", 'transform_null_equals = on', 'quote_all_identifiers = on'),
		(map { "ALTER ROLE CURRENT_USER SET $_" } 'standard_conforming_strings = off', "backslash_quote = 'off'", 'escape_string_warning = off',
			"xmloption = 'document'", "lc_numeric = '$locale'", "lc_monetary = '$locale'", "lc_time = '$locale'", "default_text_search_config = 'german'",
			'default_toast_compression = pglz'));
	return;
}

# The error of a statement that must fail.
sub failure_of
{
	my ($node, $statement) = @_;
	my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$statement");
	return $code == 0 ? "no error: $out" : $err;
}

# A retention job, due each second, that stays at work for as long as gates says shut and a scan has expired.
sub make_gated_job
{
	my ($node, $database) = @_;
	$node->safe_psql($database, q{
		CREATE EXTENSION privacy_scan;
		CREATE TABLE gates AS SELECT false AS shut;
		CREATE TABLE scan (id int PRIMARY KEY, at timestamptz NOT NULL);
		CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
		BEGIN
			WHILE (SELECT shut FROM gates) LOOP PERFORM pg_sleep(0.01); END LOOP;
			RETURN old;
		END $$;
		CREATE TRIGGER gate BEFORE DELETE ON scan FOR EACH ROW EXECUTE FUNCTION gate();
		SELECT privacy_scan.set_retention('scan', '1 year', 'at');
		SELECT privacy_scan.schedule_job('retention scan', '1 second')});
	return;
}

# For a store whose policy has the condition public.is_done(status): a run kills its own process at the step that kill_at names. That
# is where the condition is evaluated in the transaction that has read a partition, or the n-th command on a table: there the locks
# are held, and a partition is detached, changed, attached, moved.
sub make_killing
{
	my ($node) = @_;
	$node->safe_psql('postgres', q{
		CREATE TABLE kill_at (what text);
		INSERT INTO kill_at VALUES ('never');
		CREATE SEQUENCE commands;
		CREATE FUNCTION die_at(step text) RETURNS void LANGUAGE plpgsql SET search_path = public AS $$
		BEGIN
			IF (SELECT what FROM kill_at) = step THEN
				COPY (SELECT) TO PROGRAM 'kill -KILL $PPID';
			END IF;
		END $$;
		CREATE FUNCTION is_done(status text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
		BEGIN
			IF EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND mode = 'ShareUpdateExclusiveLock') THEN
				PERFORM public.die_at('looked');
			END IF;
			RETURN status = 'done';
		END $$;
		CREATE FUNCTION count_command() RETURNS event_trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM public.die_at(nextval('public.commands')::text);
		END $$;
		CREATE EVENT TRIGGER count_command ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION count_command()});
	return;
}

# A run of "Scan"; where it is killed the server has recovered when this returns.
sub run_until
{
	my ($node, $step) = @_;
	$node->safe_psql('postgres', qq{UPDATE kill_at SET what = '$step'; SELECT setval('commands', 1, false)});
	my ($status, $out, $err) = $node->psql('postgres', q{SET client_min_messages = debug1; CALL privacy_scan.run_retention('"Scan"', confirm => true)});
	await_recovery($node);
	$node->safe_psql('postgres', q{UPDATE kill_at SET what = 'never'});
	return ($status, $err);
}

# Returns once the server takes queries after a crash. The query is an argument: a session that is refused closes its
# input early, and IPC::Run dies of what it could not write there.
sub await_recovery
{
	my ($node) = @_;
	my @ask = ('psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'SELECT pg_is_in_recovery()');
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my ($out, $err) = ('', '');
		IPC::Run::run(\@ask, '<', '/dev/null', '>', \$out, '2>', \$err);
		return if $out eq "f\n";
		select(undef, undef, undef, 0.1);
	}
	die 'the server does not recover';
}

# Events by day, of scans, with a DEFAULT partition; readings by number, without one. The clock of the tests is
# a row, so that a day passes when we say so.
sub make_store
{
	my ($node) = @_;
	$node->safe_psql('postgres', q{
		CREATE TABLE clock (at timestamptz NOT NULL);
		INSERT INTO clock VALUES ('2026-01-10 12:00 UTC');
		CREATE TABLE scan (id int PRIMARY KEY, touched bigint NOT NULL DEFAULT 0);
		INSERT INTO scan SELECT generate_series(1, 100);
		CREATE SEQUENCE event_ids;
		CREATE TABLE event (
			id bigint NOT NULL DEFAULT nextval('event_ids'),
			scan_id int NOT NULL REFERENCES scan,
			at timestamptz NOT NULL,
			body text NOT NULL,
			PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
		CREATE INDEX ON event (scan_id);
		CREATE TABLE reading (id bigint PRIMARY KEY) PARTITION BY RANGE (id);
	});
	# Managed as of the tests' clock, not of ours: the policy first, then its partitions.
	$node->safe_psql('postgres', q{
		INSERT INTO privacy_scan.partition_policies
			(relation, every, premake, time_zone, default_partition) VALUES ('event', '1 day', 3, 'UTC', true);
		SELECT count(*) FROM privacy_scan.ensure_partitions('event', '2026-01-08 UTC', '2026-01-11 UTC');
		SELECT count(*) FROM privacy_scan.maintain_partitions('event', at => (SELECT at FROM clock));
		SELECT count(*) FROM privacy_scan.manage_partitions('reading', 'id', step => 100, premake => 2,
			default_partition => false);
	});
}

# Lets a day pass.
sub advance_clock
{
	my ($node) = @_;
	return $node->safe_psql('postgres', q{UPDATE clock SET at = at + interval '1 day' RETURNING at});
}

# Starts a session that writes rows one by one, most of them about the present, some far off, and prints the id of
# each that was acknowledged. The session ends by itself, or with the server.
sub write_rows
{
	my ($node, $name, $rows) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my ($script, $out, $err) = map { "$dir/$name.$_" } qw(sql out err);
	my $insert = "INSERT INTO event (scan_id, at, body) SELECT 1 + (random() * 99)::int, "
	  . "%s, repeat(md5(random()::text), (random() * 20)::int) FROM clock RETURNING id;\n";
	my $text = '';
	for my $n (1 .. $rows)
	{
		my $at = "at - random() * interval '2 days'";
		$at = "at + interval '400 days' + random() * interval '8 days'" if $n % 10 == 0;
		$at = "at - interval '300 days' - random() * interval '8 days'" if $n % 25 == 0;
		$text .= sprintf($insert, $at);
		$text .= "UPDATE scan SET touched = touched + 1 WHERE id = $n % 100 + 1;\n" if $n % 5 == 0;
	}
	PostgreSQL::Test::Utils::append_to_file($script, $text);
	my $session = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=0', '-f', $script ],
		'>', $out, '2>', $err);
	return { session => $session, out => $out, err => $err, name => $name };
}

# True where one of the sessions has not come to its end.
sub is_writing
{
	return scalar(grep { $_->{session}->pumpable } @_);
}

# Every acknowledged row is there, and no row is there twice.
sub check_ledger
{
	my ($node, $name, @writers) = @_;
	my %acknowledged;
	for my $writer (@writers)
	{
		$acknowledged{$_}++ for grep { /^\d+$/ } split /\n/, slurp_file($writer->{out});
	}
	my %stored;
	$stored{$_}++ for split /\n/, $node->safe_psql('postgres', 'SELECT id FROM event');
	my @lost = grep { !$stored{$_} } keys %acknowledged;
	my @doubled = grep { $stored{$_} > 1 } keys %stored;
	cmp_ok(scalar(keys %acknowledged), '>', 0, "$name: rows were acknowledged");
	is("@lost", '', "$name: no acknowledged row is lost (of " . keys(%acknowledged) . ')');
	is("@doubled", '', "$name: no row is there twice");
	return;
}

# No table is left behind unattached, the days up to the clock and ahead of it follow each other without a gap,
# and no two partitions start at the same bound.
sub check_layout
{
	my ($node, $name) = @_;
	is( $node->safe_psql('postgres', q{
			SELECT string_agg(relname, ' ') FROM pg_class
			WHERE relkind = 'r' AND relname ~ '^(event|reading)_' AND NOT relispartition}),
		'', "$name: no table is left behind");
	is( $node->safe_psql('postgres', q{
			SELECT inhparent::regclass, pg_get_expr(relpartbound, c.oid) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
			WHERE c.relkind = 'r' GROUP BY 1, 2 HAVING count(*) > 1}),
		'', "$name: no bounds are taken twice");
	is( $node->safe_psql('postgres', q{
			SELECT count(*) FROM (
				SELECT lower_at, lag(upper_at) OVER (ORDER BY lower_at) AS before, at
				FROM privacy_scan.partitions, clock
				WHERE parent = 'event'::regclass AND state <> 'default'
				  AND lower_at BETWEEN '2026-01-08' AND at + interval '3 days') AS days
			WHERE before <> lower_at}),
		'0', "$name: the days are without a gap");
	cmp_ok(
		$node->safe_psql('postgres', q{
			SELECT extract(epoch FROM max(upper_at) - (SELECT at FROM clock)) / 86400 FROM privacy_scan.partitions
			WHERE parent = 'event'::regclass AND upper_at < (SELECT at + interval '100 days' FROM clock)}),
		'>=', 3, "$name: three days ahead are there");
	return;
}

# Runs maintenance until it finds nothing to do; returns the number of runs, or dies.
sub converge
{
	my ($node) = @_;
	for my $run (1 .. 20)
	{
		my $left = $node->safe_psql('postgres', q{
				SELECT concat_ws(' ', relation, action, partition, sqlstate, message)
			FROM privacy_scan.maintain_partitions(at => (SELECT at FROM clock))});
		return $run if $left eq '';
		die "maintenance failed: $left" if $left =~ /failed/;
	}
	die 'maintenance does not come to an end';
}

1;
