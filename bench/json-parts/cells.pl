# What bench/json measures: stores of documents, and on each the pairs of expressions that are put against each
# other, with what the ratio built-in / ours must reach. Returns a list of stores for measure.pl:
#
#   { name, rows, documents => [arguments of documents.pl], bytes => nominal size, forms => [forms of storage],
#     cells => [{ group, position, form, base => [SQL], ours => [SQL], same => SQL, target, promised, quick }] }
#
# base and ours are lists of expressions that one query counts; same is true of a row where both agree. promised
# is the target that was set for this cell; a cell without one must not be below FLOOR.
use strict;
use warnings;

use constant FLOOR => 0.95;
use constant { KB => 1024, MB => 1_048_576 };

my @compressed = qw(pglz lz4);
my @toasted = qw(pglz lz4 external);
my @scalar = qw(url rule score domain scanId severity riskScore scannedAt policyText thirdParty);
my %key = (early => 'domain', late => 'scannedAt', last => 'policyText', absent => 'verdict');
my @positions = qw(early late last absent);

sub by_form { my %ratio; @ratio{@toasted} = @_; return \%ratio; }

# --- pairs of expressions --------------------------------------------------------------------------

# cell(group, position, base, ours, promised by form or for each form, [same])
sub cell
{
	my ($group, $position, $base, $ours, $promised, $same) = @_;
	my ($b, $o) = map { ref $_ ? $_ : [$_] } $base, $ours;
	$same //= sprintf 'ROW(%s) IS NOT DISTINCT FROM ROW(%s)', join(', ', @$b), join(', ', @$o);
	return { group => $group, position => $position, base => $b, ours => $o, same => $same, promised => $promised };
}

sub key_cell
{
	my ($position, $promised) = @_;
	return cell('key', $position, "doc ->> '$key{$position}'", "privacy_scan.json_text(doc, '$key{$position}')", $promised);
}

sub path_cell
{
	my ($name, $promised, @path) = @_;
	my $array = '{' . join(',', @path) . '}';
	my $arguments = join ', ', map { "'$_'" } @path;
	return cell('path', $name, "doc #>> '$array'", "privacy_scan.json_text(doc, $arguments)", $promised);
}

sub depth1 { return path_cell('depth 1', $_[0], 'domain'); }
sub depth3 { return path_cell('depth 3', $_[0], qw(page meta cmp)); }
sub depth6 { return path_cell('depth 6', $_[0], qw(page meta tcf consent 1 purpose)); }

sub typed_cell
{
	my ($type, $function, $key, $promised) = @_;
	return cell('typed', $type, "(doc ->> '$key')::$type", "privacy_scan.$function(doc, '$key')", $promised);
}

sub ten_calls
{
	return cell('ten fields', 'ten calls', [ map { "doc ->> '$_'" } @scalar ],
		[ map { "privacy_scan.json_text(doc, '$_')" } @scalar ], $_[0]);
}

sub ten_in_one
{
	my $keys = join ', ', map { "'$_'" } @scalar;
	my @base = map { "doc ->> '$_'" } @scalar;
	return cell('ten fields', 'json_fields', \@base, "privacy_scan.json_fields(doc, $keys)", $_[0],
		'ARRAY[' . join(', ', @base) . "] = privacy_scan.json_fields(doc, $keys)");
}

sub populate
{
	my ($type, $promised) = @_;
	return cell('populate', $type, "jsonb_populate_record(NULL::bench.$type, doc)",
		"privacy_scan.json_populate(NULL::bench.$type, doc)", $promised);
}

sub length_of_key
{
	return cell('array length', 'of a key', "jsonb_array_length(doc -> 'cookies')",
		"privacy_scan.json_array_length(doc, 'cookies')", $_[0]);
}

sub length_of_root
{
	return cell('array length', 'of the document', 'jsonb_array_length(doc)',
		"privacy_scan.json_array_length(doc, VARIADIC '{}'::text[])", $_[0]);
}

sub has { return cell('has', $_[0], "doc ? '$key{$_[0]}'", "privacy_scan.json_has(doc, '$key{$_[0]}')"); }
sub type_of { return cell('type', 'late', "jsonb_typeof(doc -> 'scannedAt')", "privacy_scan.json_type(doc, 'scannedAt')"); }

my @typed = (
	typed_cell('int', 'json_int', 'score', { plain => 1.5 }),
	typed_cell('bigint', 'json_int', 'scanId', { plain => 1.75 }),
	typed_cell('bool', 'json_bool', 'thirdParty', { plain => 1.4 }),
	typed_cell('numeric', 'json_numeric', 'riskScore', { plain => 1.9 }),
	typed_cell('float8', 'json_float8', 'riskScore', { plain => 2.1 }),
	typed_cell('timestamptz', 'json_timestamptz', 'scannedAt', { plain => 3.5 }));

# --- stores ----------------------------------------------------------------------------------------
# What pglz cannot shorten by a quarter is stored plain: no documents of 200 and 500 bytes of that form.

# Of one size and shape: the four positions, then what else is given.
sub store
{
	my ($name, $bytes, $rows, $forms, @more) = @_;
	my %first = (8 * KB, by_form(5, 2.3, 2), 32 * KB, by_form(18, 7, 5.5), 100 * KB, by_form(60, 17, 14), MB, by_form(320, 95, 75));
	my $present = $first{$bytes} // ($bytes == 2 * KB ? { pglz => 4, lz4 => 1.8 } : $bytes < 2 * KB ? { plain => 1.2 } : undef);
	my $end = $bytes >= 2 * KB ? by_form(1.7, 0.98, $bytes >= 100 * KB ? 4 : 1.0) : { plain => 1.2 };
	my @cells = (key_cell('early', $present), key_cell('late', $end), key_cell('last', $end), key_cell('absent', $first{$bytes}));
	return { name => $name, bytes => $bytes, rows => $rows, forms => $forms, cells => [ @cells, @more ],
		documents => ["--sizes=$bytes"] };
}

# Of several sizes or shapes: the four positions, ten fields, a type.
sub mixed
{
	my ($name, $bytes, $rows, $forms, @documents) = @_;
	return { name => $name, bytes => $bytes, rows => $rows, forms => $forms, documents => \@documents,
		cells => [ (map { key_cell($_) } @positions), ten_calls(), typed_cell('bigint', 'json_int', 'scanId') ] };
}

sub arrays
{
	my ($name, $bytes, $rows, $forms, $promised) = @_;
	return { name => $name, bytes => $bytes, rows => $rows, forms => $forms, cells => [ length_of_root($promised) ],
		documents => [ "--sizes=$bytes", '--root=array' ] };
}

my @every = ('plain', @toasted);
my @sizes = (300, 1000, 2 * KB, 8 * KB, 32 * KB, 100 * KB);
my $length = by_form(45, 15, 11);
my @stores = (
	store('200 B', 200, 30_000, [qw(plain external)]),
	store('300 B', 300, 30_000, ['plain'], ten_calls(), ten_in_one(), populate('evidence', { plain => 2 }), populate('evidence_text')),
	store('500 B', 500, 15_000, [qw(plain lz4 external)]),
	store('600 B', 600, 12_000, ['plain'], depth1(), depth3({ plain => 1.35 }), depth6({ plain => 1.55 }), @typed, has('late'), type_of()),
	store('1 KB', 1000, 8000, \@every),
	store('2 KB', 2 * KB, 5000, \@every, ten_calls(by_form(8, 3, 5)), ten_in_one(), populate('evidence', { pglz => 2 }),
		depth6(), length_of_key(), has('late'), type_of()),
	store('8 KB', 8 * KB, 3000, \@toasted),
	store('20 KB', 20 * KB, 1200, \@toasted, ten_calls(by_form(9.5, 5.5, 4.3)), ten_in_one(), populate('evidence'), depth6(), @typed),
	store('32 KB', 32 * KB, 1500, \@toasted),
	store('100 KB', 100 * KB, 600, \@toasted, length_of_key($length), has('late'), type_of()),
	store('1 MB', MB, 150, \@toasted),
	arrays('array 500 B', 500, 15_000, ['plain']),
	arrays('array 10 KB', 10 * KB, 2000, \@toasted),
	arrays('array 100 KB', 100 * KB, 600, \@toasted, $length),
	mixed('sizes mixed', 24 * KB, 1500, \@toasted, '--sizes=' . join ',', @sizes),
	mixed('keys mixed, 500 B', 500, 15_000, [qw(plain lz4 external)], '--sizes=500', '--shapes=3'),
	mixed('keys mixed, 2 KB', 2 * KB, 5000, \@toasted, '--sizes=' . 2 * KB, '--shapes=4'),
	mixed('keys and sizes mixed', 24 * KB, 1500, \@toasted, '--sizes=' . join(',', @sizes), '--shapes=4'));

# --- what of it is quick ---------------------------------------------------------------------------

# A cell for each form, with its target; quick is where a target was promised and documents are not huge.
for my $store (@stores)
{
	$store->{cells} = [
		map {
			my $form = $_;
			map {
				my $promised = ($_->{promised} // {})->{$form};
				+{ %$_, form => $form, promised => $promised, target => $promised // FLOOR,
					quick => defined $promised && $store->{bytes} < MB }
			} @{ $store->{cells} }
		} @{ $store->{forms} } ];
}
return \@stores;
