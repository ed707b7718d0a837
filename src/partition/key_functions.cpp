// Ids that carry time, from SQL: their instants, their bounds, which kind a column holds.
#include "pg/postgres.hpp"

#include "partition/id_value.hpp"
#include "partition/key_detect.hpp"
#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/ident.hpp"
#include "pg/rowset.hpp"

extern "C" {
#include <catalog/pg_class_d.h>
#include <utils/lsyscache.h>
#include <utils/timestamp.h>
}

using namespace privacy_scan;
using namespace privacy_scan::partition;

namespace
{

// A kind that is named without a column: of uuids the text.
std::unique_ptr<KeyKind> kind_argument(const pg::Arguments &args)
{
    const std::string name = args.text(0, "kind");
    const bool is_number = name.compare(0, 10, "snowflake(") == 0;
    return open_key_kind(name, is_number ? INT8OID : TEXTOID);
}

// Decimal digits as PostgreSQL writes a bigint.
std::optional<std::int64_t> bigint_of(const std::string &text)
{
    if (text.empty() || text.size() > 19 || text.find_first_not_of("0123456789") != std::string::npos)
        return std::nullopt;
    std::int64_t value = 0;
    for (char digit : text)
        if (__builtin_mul_overflow(value, std::int64_t{10}, &value) ||
            __builtin_add_overflow(value, std::int64_t{digit - '0'}, &value))
            return std::nullopt;
    return value;
}

} // namespace

// privacy_scan.key_instant(kind text, id text) returns timestamptz: when the id was made, to the kind's unit;
// NULL where it is no id of the kind. A uuid and a bigint are given as text. IMMUTABLE. Errors: 22023 kind.
PS_FUNCTION(ps_key_instant)
{
    pg::Arguments args(fcinfo);
    const std::unique_ptr<KeyKind> kind = kind_argument(args);
    const std::string id = args.text(1, "id");
    std::optional<Instant> instant;
    if (kind->storage() != IdStorage::bigint)
        instant = kind->instant_of(id);
    else if (const auto number = bigint_of(id))
        instant = kind->instant_of(image_of_bigint(*number).view());
    if (!instant)
        PG_RETURN_NULL();
    return TimestampTzGetDatum(*instant);
}

// privacy_scan.key_at(kind text, instant timestamptz) returns text: the smallest id of the kind from the
// instant on, which is the bound of a partition that begins there. IMMUTABLE. Errors: 22023 kind, 22008 an
// instant that the kind has no ids of.
PS_FUNCTION(ps_key_at)
{
    pg::Arguments args(fcinfo);
    const std::unique_ptr<KeyKind> kind = kind_argument(args);
    const Instant instant = DatumGetTimestampTz(args.datum(1));
    if (instant < kind->earliest() || instant > kind->latest())
        pg::fail(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, "ids of kind " + kind->name() + " have no such time");
    const Oid type = kind->storage() == IdStorage::bigint ? INT8OID : TEXTOID;
    return pg::text_param(text_of_image(type, kind->smallest_at(kind->round_up(instant)))).value;
}

namespace
{

Oid id_column_type(Oid relid, const std::string &column)
{
    const char kind = pg::guarded([=] { return get_rel_relkind(relid); });
    if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_MATVIEW)
        pg::fail(ERRCODE_WRONG_OBJECT_TYPE, "relation \"" + pg::relation_name(relid) + "\" is not a table");
    const char *name = column.c_str();
    const AttrNumber number = pg::guarded([=] { return get_attnum(relid, name); });
    if (number <= 0)
        pg::fail(ERRCODE_UNDEFINED_COLUMN,
                 "column \"" + column + "\" of relation \"" + pg::relation_name(relid) + "\" does not exist");
    return pg::guarded([=] { return get_atttype(relid, number); });
}

} // namespace

// privacy_scan.detect_key_kind(relation regclass, column name, sample_rows int) returns table(key_kind text,
// share float8, oldest timestamptz, newest timestamptz): the kinds that some of at most sample_rows ids of
// the column fit, the likeliest first; of snowflakes, the epochs of Twitter and Discord alone are tried. No
// row: none fits. Reads the column as the caller. VOLATILE. Errors: 22004, 22023 sample_rows, 42703, 42809,
// 42501.
PS_FUNCTION(ps_detect_key_kind)
{
    pg::Arguments args(fcinfo);
    const Oid relid = args.relation(0);
    const std::string column = NameStr(*DatumGetName(args.required(1, "column")));
    const std::int32_t most = DatumGetInt32(args.required(2, "sample_rows"));
    if (most < 1 || most > 1000000)
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "argument \"sample_rows\" must be between 1 and 1000000");
    pg::RowSink sink(fcinfo);
    const Oid type = id_column_type(relid, column);
    pg::Spi spi;
    for (const KindFinding &finding : detect_key_kinds(spi, relid, column, type, most))
        sink.put({pg::cell(finding.kind), pg::cell(finding.share), pg::cell_instant(finding.oldest),
                  pg::cell_instant(finding.newest)});
    return Datum(0);
}
