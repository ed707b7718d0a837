// Ids that carry time, from SQL: their instants, their bounds, which kind a column holds.
#include "pg/postgres.hpp"

#include "partition/id_value.hpp"
#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/ident.hpp"
#include "pg/rowset.hpp"
#include "pg/spi.hpp"

#include <algorithm>

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

// What the sample says of one kind.
struct Finding {
    std::unique_ptr<KeyKind> kind;
    std::int64_t fitting = 0;
    Instant oldest = 0, newest = 0;
};

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

// Pages at random, about twice as many rows as wanted; of a small table, or where that found none, the first.
pg::Rows sample(pg::Spi &spi, Oid relid, const std::string &column, std::int32_t most)
{
    const std::string from = "SELECT " + pg::quote(column) + " FROM " + pg::qualified_name(relid);
    const std::string limit = " WHERE " + pg::quote(column) + " IS NOT NULL LIMIT $1";
    const double rows =
        spi.run("SELECT sum(c.reltuples)::float8 FROM pg_catalog.pg_class c WHERE c.oid = $1 OR c.oid IN"
                " (SELECT t.relid FROM pg_catalog.pg_partition_tree($1) t WHERE t.isleaf)",
                {pg::regclass_param(relid)})
            .float8(0, 1);
    if (rows > 10.0 * most) {
        pg::Rows found = spi.run(from + " TABLESAMPLE SYSTEM ($2)" + limit,
                                 {pg::int4_param(most), pg::float8_param(200.0 * most / rows)});
        if (!found.empty())
            return found;
    }
    return spi.run(from + limit, {pg::int4_param(most)});
}

// A time that is no accident: small numbers, say, are times at the epoch of every snowflake.
bool is_plausible(const KeyKind &kind, Instant instant, Instant now)
{
    constexpr Instant a_day = 86400 * usecs_per_second;
    return instant >= 0 && instant >= kind.earliest() + 30 * a_day && instant <= now + a_day;
}

void look(Finding &finding, Oid type, const pg::Rows &rows, Instant now)
{
    for (std::size_t row = 0; row < rows.size(); ++row) {
        const Datum value = rows.datum(row, 1);
        const KeyKind *kind = finding.kind.get();
        const auto instant = pg::guarded([=] { return kind->instant_of(IdValue(type, value).image()); });
        if (!instant || !is_plausible(*kind, *instant, now))
            continue;
        finding.oldest = finding.fitting == 0 ? *instant : std::min(finding.oldest, *instant);
        finding.newest = finding.fitting == 0 ? *instant : std::max(finding.newest, *instant);
        ++finding.fitting;
    }
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
    const std::optional<IdStorage> storage = id_storage(type);
    if (!storage)
        return Datum(0);
    pg::Spi spi;
    const pg::Rows rows = sample(spi, relid, column, most);
    std::vector<Finding> findings;
    for (auto &kind : likely_key_kinds(*storage)) {
        findings.push_back({std::move(kind)});
        look(findings.back(), type, rows, GetCurrentTimestamp());
    }
    std::stable_sort(findings.begin(), findings.end(), [](const Finding &a, const Finding &b) {
        return std::pair(a.fitting, a.newest) > std::pair(b.fitting, b.newest);
    });
    for (const Finding &finding : findings)
        if (finding.fitting > 0)
            sink.put({pg::cell(finding.kind->name()),
                      pg::cell(static_cast<double>(finding.fitting) / static_cast<double>(rows.size())),
                      pg::cell_instant(finding.oldest), pg::cell_instant(finding.newest)});
    return Datum(0);
}
