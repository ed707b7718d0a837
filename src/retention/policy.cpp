// See policy.hpp.
#include "pg/postgres.hpp"

#include "retention/policy.hpp"

#include "partition/id_value.hpp"
#include "partition/partition_policy.hpp"
#include "pg/compat.hpp"
#include "pg/ident.hpp"
#include "retention/condition.hpp"

extern "C" {
#include <catalog/pg_class_d.h>
#include <utils/builtins.h>
#include <utils/date.h>
#include <utils/datum.h>
#include <utils/lsyscache.h>
#include <utils/syscache.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::retention
{

namespace
{

Oid key_type(Oid root, const std::string &key)
{
    const char *name = key.c_str();
    const AttrNumber number = pg::guarded([=] { return get_attnum(root, name); });
    if (number <= 0)
        pg::fail(ERRCODE_UNDEFINED_COLUMN,
                 "column \"" + key + "\" of relation \"" + pg::relation_name(root) + "\" does not exist");
    return pg::guarded([=] { return get_atttype(root, number); });
}

// Red.
bool is_reasonable(const Interval *interval)
{
    constexpr int most_years = 1000;
    const bool negative = interval->month < 0 || interval->day < 0 || interval->time < 0;
    const bool zero = interval->month == 0 && interval->day == 0 && interval->time == 0;
    const bool absurd = interval->month > most_years * 12 || interval->day > most_years * 366 ||
                        interval->time > most_years * 366 * USECS_PER_DAY;
    return !negative && !zero && !absurd;
}

void check_length(const char *argument, Datum interval)
{
    if (!is_reasonable(DatumGetIntervalP(interval)))
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE,
                 std::string("argument \"") + argument + "\" must be positive and at most 1000 years", {},
                 std::string("Say, for instance, ") + argument + " => '365 days'.");
}

} // namespace

namespace
{

// The kind of the ids that the root is partitioned by, where that is the column.
std::string kind_of_partitions(pg::Spi &spi, Oid root, const std::string &key)
{
    const std::optional<partition::Policy> managed = partition::find_policy(spi, root);
    return managed && !managed->key_kind.empty() && partition::key_column(root).name == key
               ? managed->key_kind
               : std::string();
}

void check_id(Policy &policy, Oid type)
{
    const std::unique_ptr<partition::KeyKind> kind = partition::open_key_kind(policy.key_kind, type);
    policy.key_kind = kind->name();
    const Oid root = policy.root;
    const char *name = policy.key.c_str();
    const Oid collation = pg::guarded([=] {
        Oid found = InvalidOid, type_again = InvalidOid;
        int32 typmod = 0;
        get_atttypetypmodcoll(root, get_attnum(root, name), &type_again, &typmod, &found);
        return found;
    });
    if (!partition::sorts_as_bytes(collation, kind->alphabet()))
        pg::fail(ERRCODE_INDETERMINATE_COLLATION,
                 "the collation of column \"" + policy.key + "\" does not fit ids of kind " + policy.key_kind,
                 "It does not sort the characters of these ids as bytes, hence not by time.",
                 "Take a time column as the key, or declare this one with COLLATE \"C\".");
}

} // namespace

void check_policy(pg::Spi &spi, Policy &policy)
{
    check_length("keep", policy.keep);
    if (policy.grace)
        check_length("grace", *policy.grace);
    const Oid type = key_type(policy.root, policy.key);
    if (policy.key_kind.empty() && partition::id_storage(type))
        policy.key_kind = kind_of_partitions(spi, policy.root, policy.key);
    if (!policy.key_kind.empty())
        check_id(policy, type);
    else if (type != TIMESTAMPOID && type != TIMESTAMPTZOID && type != DATEOID)
        pg::fail(ERRCODE_DATATYPE_MISMATCH, "column \"" + policy.key + "\" is not a time", {},
                 "The key of a retention policy is a timestamp, timestamptz or date, or, with key_kind, an "
                 "id that "
                 "carries time.");
    if (!policy.condition.empty())
        policy.condition = compile_condition(pg::require_owner(policy.root), policy.condition);
}

Cutoff cutoff_of(const Policy &policy, std::int64_t at)
{
    const Oid type = key_type(policy.root, policy.key);
    const Datum keep = policy.keep;
    // A timestamp without zone that shows UTC: months are subtracted on UTC's calendar.
    const std::int64_t instant = pg::guarded([=] {
        return DatumGetTimestamp(DirectFunctionCall2(timestamp_mi_interval, TimestampGetDatum(at), keep));
    });
    if (!policy.key_kind.empty()) {
        const auto kind = partition::open_key_kind(policy.key_kind, type);
        return {type, partition::datum_of_image(type, kind->smallest_at(kind->round_up(instant))), instant};
    }
    if (type != DATEOID)
        return {type, Int64GetDatum(instant), instant};
    return {type,
            pg::guarded([=] { return DirectFunctionCall1(timestamp_date, TimestampGetDatum(instant)); }),
            instant};
}

std::optional<Policy> find_policy(pg::Spi &spi, Oid root)
{
    pg::CatalogScope scope;
    pg::Rows rows =
        spi.run("SELECT key_column, keep, condition, archive_schema, key_kind, archive, remove_after, grace"
                " FROM privacy_scan.retention_rules WHERE root = $1",
                {pg::regclass_param(root)});
    if (rows.empty())
        return std::nullopt;
    const auto copy = [&](int column) {
        const Datum interval = rows.datum(0, column);
        return pg::guarded([=] { return datumCopy(interval, false, sizeof(Interval)); });
    };
    return Policy{root,
                  rows.text(0, 1),
                  copy(2),
                  rows.text(0, 3),
                  rows.text(0, 4),
                  rows.text(0, 5),
                  rows.text(0, 6),
                  rows.text(0, 7),
                  rows.is_null(0, 8) ? std::nullopt : std::optional<Datum>(copy(8)),
                  {}};
}

Policy require_policy(pg::Spi &spi, Oid root)
{
    std::optional<Policy> policy = find_policy(spi, root);
    if (!policy)
        pg::fail(ERRCODE_UNDEFINED_OBJECT,
                 "relation \"" + pg::relation_name(root) + "\" has no retention policy", {},
                 "Call privacy_scan.set_retention() first.");
    return *policy;
}

static void forget_dropped(pg::Spi &spi)
{
    pg::CatalogScope scope;
    spi.run("DELETE FROM privacy_scan.retention_rules p"
            " WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = p.root::oid)");
}

std::vector<Oid> roots_with_policy(pg::Spi &spi)
{
    forget_dropped(spi);
    std::vector<Oid> roots;
    const Oid caller = GetUserId();
    pg::CatalogScope scope;
    pg::Rows rows = spi.run("SELECT root::oid FROM privacy_scan.retention_rules ORDER BY root::text");
    for (std::size_t row = 0; row < rows.size(); ++row) {
        const Oid root = rows.oid(row, 1);
        if (pg::guarded([=] { return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(root)); }) &&
            pg::guarded([=] { return pg::compat::owns_relation(root, caller); }))
            roots.push_back(root);
    }
    return roots;
}

void store_policy(pg::Spi &spi, const Policy &policy)
{
    pg::CatalogScope scope;
    spi.run(
        "INSERT INTO privacy_scan.retention_rules AS r (root, key_column, keep, condition, archive_schema, "
        "key_kind, archive, remove_after, grace)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (root) DO UPDATE"
        " SET set_at = CASE WHEN (r.key_column, r.keep, r.condition, r.archive = 'discard')"
        "   IS DISTINCT FROM ($2, $3, $4, $7 = 'discard') THEN clock_timestamp() ELSE r.set_at END,"
        " key_column = $2, keep = $3, condition = $4, archive_schema = $5, key_kind = $6, archive = $7,"
        " remove_after = $8, grace = $9",
        {pg::regclass_param(policy.root), pg::text_param(policy.key),
         pg::datum_param(INTERVALOID, policy.keep), pg::text_or_null(policy.condition),
         pg::text_or_null(policy.archive_schema), pg::text_or_null(policy.key_kind),
         pg::text_param(policy.archive), pg::text_or_null(policy.remove_after),
         policy.grace ? pg::datum_param(INTERVALOID, *policy.grace) : pg::null_param(INTERVALOID)});
}

bool delete_policy(pg::Spi &spi, Oid root)
{
    pg::CatalogScope scope;
    return spi.run("DELETE FROM privacy_scan.retention_rules WHERE root = $1", {pg::regclass_param(root)})
               .affected() > 0;
}

std::string comparable_key(const Policy &policy)
{
    const Oid root = policy.root;
    const char *name = policy.key.c_str();
    switch (pg::guarded([=] { return get_atttype(root, get_attnum(root, name)); })) {
    case TIMESTAMPOID:
        return "timestamp";
    case TIMESTAMPTZOID:
        return "timestamptz";
    case DATEOID:
        return "date";
    case INT8OID:
        return "bigint";
    case UUIDOID:
        return "uuid";
    default:
        return {};
    }
}

std::string key_in_words(const Policy &policy)
{
    const Oid root = policy.root;
    const char *name = policy.key.c_str();
    const std::string type =
        pg::guarded([=] { return format_type_be(get_atttype(root, get_attnum(root, name))); });
    return pg::quote(policy.key) + " " + type;
}

std::string may_meet(const KeyRange &range)
{
    const std::string &type = range.type;
    if (type.empty())
        return "true OR $2 = $3 OR $4 = ''";
    return "CASE WHEN a.key <> $4 THEN true ELSE a.key_from::" + type + " <= $3::" + type +
           " AND a.key_to::" + type + " >= $2::" + type + " END";
}

} // namespace privacy_scan::retention
