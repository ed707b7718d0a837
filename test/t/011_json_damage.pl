# Damage where it hurts most, in the header, the entries and the keys of documents, in the row and out of line: XX001 or a
# wrong value, never another error and never the end of the server.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrivacyScanTest;
use Test::More;

take_seed();

my $node = new_server('json', 'autovacuum = off', 'restart_after_crash = off');

# Six keys: the header and the entries of the object are the 52 bytes before the first key.
$node->safe_psql('postgres', q{
	CREATE TABLE damaged_inline (n int, doc jsonb);
	CREATE TABLE damaged_raw (n int, doc jsonb);
	CREATE TABLE damaged_pglz (n int, doc jsonb COMPRESSION pglz);
	CREATE TABLE damaged_lz4 (n int, doc jsonb COMPRESSION lz4);
	ALTER TABLE damaged_inline ALTER doc SET STORAGE PLAIN;
	ALTER TABLE damaged_raw ALTER doc SET STORAGE EXTERNAL;
	CREATE FUNCTION made(n int, hashes int) RETURNS jsonb LANGUAGE sql AS $$
		SELECT jsonb_build_object('MARK', n, 'list', '[1, [2, {"x": 3}], "y"]'::jsonb, 'text', (SELECT string_agg(md5(n || '.' || i), ' ') FROM generate_series(1, hashes) i),
			'true', true, 'zero', repeat('0', 60 * hashes), 'zzzz', '{"a": {"b": 1.5}}'::jsonb) $$;
	INSERT INTO damaged_inline SELECT n, made(n, 2) FROM generate_series(1, 400) n;
	INSERT INTO damaged_raw SELECT n, made(n, 60) FROM generate_series(1, 300) n;
	INSERT INTO damaged_pglz SELECT n, made(n, 60) FROM generate_series(1, 300) n;
	INSERT INTO damaged_lz4 SELECT n, made(n, 60) FROM generate_series(1, 300) n;
	CREATE TYPE damaged_row AS (text text, list jsonb, zzzz jsonb);
	CREATE FUNCTION outcome(expression text, doc jsonb) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE 'SELECT ' || expression USING doc;
		RETURN 'read';
	EXCEPTION WHEN OTHERS THEN
		RETURN SQLSTATE;
	END $$;
	CREATE FUNCTION outcomes(relation regclass) RETURNS TABLE (result text, times bigint) LANGUAGE plpgsql AS $$
	BEGIN
		RETURN QUERY EXECUTE format('SELECT outcome(e, doc), count(*) FROM %s, unnest(ARRAY[
			$e$privacy_scan.json_text($1, ''zzzz'')$e$, $e$privacy_scan.json_text($1, ''list'', ''1'', ''1'', ''x'')$e$, $e$privacy_scan.json_int($1, ''MARK'')$e$,
			$e$privacy_scan.json_numeric($1, ''zzzz'', ''a'', ''b'')$e$, $e$privacy_scan.json_float8($1, ''zzzz'', ''a'', ''b'')$e$, $e$privacy_scan.json_has($1, ''none'')$e$,
			$e$privacy_scan.json_array_length($1, ''list'')$e$, $e$privacy_scan.json_text($1, VARIADIC ARRAY[]::text[])$e$,
			$e$privacy_scan.json_fields($1, ''text'', ''true'', ''zero'')$e$, $e$privacy_scan.json_populate(NULL::damaged_row, $1)$e$]) e GROUP BY 1', relation);
	END $$;
	CHECKPOINT;
});

# The file of the table, or of its TOAST relation.
sub file_of
{
	my ($table) = @_;
	my $relation = $table eq 'damaged_inline' ? 'oid' : 'reltoastrelid';
	return $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath($relation) FROM pg_class WHERE relname = '$table'");
}

# damage FILE BEFORE BEHIND: a few bytes around each first key get other values.
sub damage
{
	my ($file, $before, $behind) = @_;
	my $bytes = PostgreSQL::Test::Utils::slurp_file($file);
	my @places;
	push @places, $-[0] while $bytes =~ /MARK/g;
	for my $at (@places)
	{
		substr($bytes, $at - $before + int(rand($before + $behind)), 1) = chr int rand 256 for 1 .. 1 + int rand 4;
	}
	open my $out, '>:raw', $file or die "$file: $!";
	print $out $bytes;
	close $out or die "$file: $!";
	return scalar @places;
}

# How far around the key the document's own bytes go; a compressed one has its beginning as literals.
my %reach = (damaged_inline => [ 52, 0 ], damaged_raw => [ 52, 0 ], damaged_pglz => [ 20, 1200 ], damaged_lz4 => [ 20, 1200 ]);
my %file = map { $_ => file_of($_) } keys %reach;
$node->stop;
for my $table (sort keys %reach)
{
	my $places = damage($file{$table}, @{ $reach{$table} });
	cmp_ok($places, '>', 100, "$table: $places documents were damaged");
}
$node->start;
for my $table (sort keys %reach)
{
	my %times = map { split /\|/ } split /\n/, $node->safe_psql('postgres', "SELECT * FROM outcomes('$table')");
	note("$table: " . join ', ', map { "$_ $times{$_}" } sort keys %times);
	cmp_ok($times{XX001} // 0, '>', 0, "$table: damage is reported");
	is(join(' ', grep { !/^(read|XX001)$/ } sort keys %times), '', "$table: and nothing else happens");
}
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/terminated by signal|PANIC:|TRAP:/, 'no process died');
$node->stop;
done_testing();
