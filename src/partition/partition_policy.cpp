// See partition_policy.hpp.
#include "pg/postgres.hpp"

#include "partition/partition_policy.hpp"

#include "partition/id_value.hpp"
#include "pg/compat.hpp"
#include "pg/ident.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <access/htup_details.h>
#include <utils/lsyscache.h>
#include <utils/syscache.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::partition
{

std::string fits_kind(const std::string &kind, const std::string &key)
{
    return "privacy_scan.key_instant(" + pg::quote_text(kind) + ", " + key + "::pg_catalog.text) IS NOT NULL";
}

void refuse_width(const KeyAxis &key)
{
    if (key.is_temporal())
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "a time key takes an interval, not a step", {},
                 "Say, for instance, every => '1 month'.");
    pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "an integer key takes a step, not an interval", {},
             "Say, for instance, step => 1000000.");
}

namespace
{

// Red.
bool column_is_not_null(Oid relid, AttrNumber number)
{
    bool not_null = false;
    HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(number));
    if (HeapTupleIsValid(tuple)) {
        not_null = reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple))->attnotnull;
        ReleaseSysCache(tuple);
    }
    return not_null;
}

// Red.
bool column_exists(Oid relid, const char *name)
{
    return get_attnum(relid, name) != InvalidAttrNumber;
}

void check_key(Oid relid, const std::string &wanted, const PartitionKeyColumn &column)
{
    const char *name = wanted.c_str();
    const std::string relation = pg::relation_name(relid);
    if (!pg::guarded([=] { return column_exists(relid, name); }))
        pg::fail(ERRCODE_UNDEFINED_COLUMN,
                 "column \"" + wanted + "\" of relation \"" + relation + "\" does not exist", {},
                 "The relation is partitioned by \"" + column.name + "\".");
    if (wanted != column.name)
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE,
                 "column \"" + wanted + "\" is not the partition key of relation \"" + relation + "\"", {},
                 "The relation is partitioned by \"" + column.name + "\".");
    AttrNumber number = column.number;
    if (!pg::guarded([=] { return column_is_not_null(relid, number); }))
        pg::fail(ERRCODE_INVALID_TABLE_DEFINITION,
                 "partition key \"" + wanted + "\" of relation \"" + relation + "\" is nullable",
                 "A row without a key can never be in a partition of its own.",
                 "Run ALTER TABLE " + pg::qualified_name(relid) + " ALTER COLUMN " + pg::quote(wanted) +
                     " SET NOT NULL.");
}

Step step_of(const KeyAxis &key, const Policy &policy)
{
    if (!policy.every)
        refuse_width(key);
    const IntervalFields &every = *policy.every;
    std::optional<Step> step = step_from_interval(every.months, every.days, every.usecs);
    if (!step)
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE,
                 "partition interval is not a positive whole number of one calendar unit", {},
                 "Take minutes, hours, days, weeks, months, quarters or years, and one of them only: '1 "
                 "month', '6 hours'.");
    if (key.type() == DATEOID && is_shorter_than_a_day(step->unit))
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "a date key cannot be partitioned by less than days", {},
                 "Take days or longer.");
    return *step;
}

// Lookups find their partition only where key and column have one collation, and PostgreSQL demands the same
// of a primary key; so that is the one to check.
void check_collation(Oid relid, const PartitionKeyColumn &column, const KeyKind &kind)
{
    const AttrNumber number = column.number;
    Oid of_column = InvalidOid, type = InvalidOid;
    std::int32_t typmod = 0;
    pg::guarded([&] { get_atttypetypmodcoll(relid, number, &type, &typmod, &of_column); });
    const bool same = of_column == column.collation;
    if (same && sorts_as_bytes(column.collation, kind.alphabet()))
        return;
    pg::fail(
        ERRCODE_INDETERMINATE_COLLATION,
        "the collation of partition key \"" + column.name + "\" of relation \"" + pg::relation_name(relid) +
            "\" does not fit ids of kind " + kind.name(),
        same ? "It does not sort the characters of these ids as bytes, hence not by time."
             : "The partition key has another collation than its column, so that no lookup would be pruned.",
        "Declare the column itself with COLLATE \"C\".");
}

} // namespace

std::unique_ptr<Grid> make_grid(const KeyAxis &key, const Policy &policy)
{
    if (key.kind())
        return std::make_unique<KindGrid>(std::make_unique<TimeGrid>(step_of(key, policy), key.grid_zone()),
                                          *key.kind());
    if (key.is_temporal())
        return std::make_unique<TimeGrid>(step_of(key, policy), key.grid_zone());
    if (!policy.step)
        refuse_width(key);
    if (*policy.step < 1 || *policy.step > key.most())
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "partition step must be at least 1 and fit the key's type",
                 {}, "It is the number of keys that a partition is to hold, such as 1000000.");
    return std::make_unique<StepGrid>(*policy.step, key.least(), key.most());
}

void check_premake(std::int32_t premake)
{
    const int most = settings::partition_max_created();
    if (premake < 0 || premake > most)
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "premake must be between 0 and " + std::to_string(most), {},
                 "It is the number of partitions kept ready ahead of the clock; the limit is "
                 "privacy_scan.partition_max_created.");
}

PartitionSet::PartitionSet(pg::OwnedTable table, Policy policy) : table_(table), policy_(std::move(policy))
{
    PartitionKeyColumn column = key_column(table_.relid);
    check_key(table_.relid, policy_.key.empty() ? column.name : policy_.key, column);
    policy_.key = column.name;
    check_premake(policy_.premake);
    name_ = pg::qualified_name(table_.relid);
    zone_ = open_zone(policy_.time_zone);
    key_ = std::make_unique<KeyAxis>(column.type, *zone_, policy_.key_kind, column.collation);
    const KeyKind *kind = key_->kind();
    if (kind) {
        policy_.key_kind = kind->name();
        check_collation(table_.relid, column, *kind);
    }
    grid_ = make_grid(*key_, policy_);
    if (!grid_->cell_at(kind ? kind->earliest() / 2 + kind->latest() / 2 : 0))
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "partition interval is too long",
                 "No partition of that width lies within the years 1 to 9999, or those of the key's kind.",
                 "Take a shorter one.");
}

Layout PartitionSet::layout() const
{
    Layout layout = read_layout(table_.relid, *key_);
    if (OidIsValid(layout.unaligned))
        pg::fail(ERRCODE_INVALID_OBJECT_DEFINITION,
                 "partition " + pg::qualified_name(layout.unaligned) +
                     " has a bound that is no time of key kind " + policy_.key_kind,
                 "Where it lies among the partitions of the policy cannot be said.",
                 "Detach it, and attach it with bounds that privacy_scan.key_at('" + policy_.key_kind +
                     "', ...) gives.");
    return layout;
}

namespace
{

constexpr const char *columns = "relation::oid, every, step, premake, time_zone, default_partition, key_kind";

Policy policy_of_row(const pg::Rows &rows, std::size_t row)
{
    Policy policy;
    policy.relid = rows.oid(row, 1);
    if (!rows.is_null(row, 2)) {
        const Interval *every = DatumGetIntervalP(rows.datum(row, 2));
        policy.every = IntervalFields{every->month, every->day, every->time};
    }
    if (!rows.is_null(row, 3))
        policy.step = rows.int8(row, 3);
    policy.premake = rows.int4(row, 4);
    policy.time_zone = rows.text(row, 5);
    policy.default_partition = rows.boolean(row, 6);
    policy.key_kind = rows.text(row, 7);
    return policy;
}

} // namespace

pg::Param interval_param(const std::optional<IntervalFields> &fields)
{
    if (!fields)
        return pg::null_param(INTERVALOID);
    IntervalFields plain = *fields;
    Datum value = pg::guarded([=] {
        auto *interval = static_cast<Interval *>(palloc0(sizeof(Interval)));
        interval->month = plain.months;
        interval->day = plain.days;
        interval->time = plain.usecs;
        return IntervalPGetDatum(interval);
    });
    return pg::datum_param(INTERVALOID, value);
}

namespace
{

std::vector<pg::Param> params_of(const Policy &policy)
{
    return {pg::oid_param(policy.relid),
            interval_param(policy.every),
            policy.step ? pg::int8_param(*policy.step) : pg::null_param(INT8OID),
            pg::int4_param(policy.premake),
            pg::text_param(policy.time_zone),
            pg::bool_param(policy.default_partition),
            pg::text_or_null(policy.key_kind)};
}

} // namespace

std::optional<Policy> find_policy(pg::Spi &spi, Oid relid)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run(std::string("SELECT ") + columns +
                                " FROM privacy_scan.partition_policies WHERE relation = $1",
                            {pg::regclass_param(relid)});
    if (rows.empty())
        return std::nullopt;
    return policy_of_row(rows, 0);
}

Policy require_policy(pg::Spi &spi, Oid relid)
{
    std::optional<Policy> policy = find_policy(spi, relid);
    if (!policy)
        pg::fail(ERRCODE_UNDEFINED_OBJECT,
                 "partitions of relation \"" + pg::relation_name(relid) + "\" are not managed", {},
                 "Call privacy_scan.manage_partitions() first.");
    return *policy;
}

std::vector<Oid> managed_relations(pg::Spi &spi)
{
    std::vector<Oid> relids;
    const Oid caller = GetUserId();
    pg::CatalogScope scope;
    pg::Rows rows =
        spi.run("SELECT relation::oid FROM privacy_scan.partition_policies ORDER BY relation::text");
    for (std::size_t row = 0; row < rows.size(); ++row) {
        Oid relid = rows.oid(row, 1);
        if (pg::guarded([=] { return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)); }) &&
            pg::guarded([=] { return pg::compat::owns_relation(relid, caller); }))
            relids.push_back(relid);
    }
    return relids;
}

void insert_policy(pg::Spi &spi, const Policy &policy)
{
    pg::CatalogScope scope;
    spi.run("INSERT INTO privacy_scan.partition_policies"
            " (relation, every, step, premake, time_zone, default_partition, key_kind)"
            " VALUES ($1::regclass, $2, $3, $4, $5, $6, $7)",
            params_of(policy));
}

void update_policy(pg::Spi &spi, const Policy &policy)
{
    pg::CatalogScope scope;
    spi.run("UPDATE privacy_scan.partition_policies"
            " SET every = $2, step = $3, premake = $4, time_zone = $5, default_partition = $6, key_kind = $7"
            " WHERE relation = $1::regclass",
            params_of(policy));
}

bool delete_policy(pg::Spi &spi, Oid relid)
{
    pg::CatalogScope scope;
    return spi.run("DELETE FROM privacy_scan.partition_policies WHERE relation = $1",
                   {pg::regclass_param(relid)})
               .affected() > 0;
}

void forget_dropped(pg::Spi &spi)
{
    pg::CatalogScope scope;
    // What another session is forgetting at this moment is left to it.
    spi.run("DELETE FROM privacy_scan.partition_policies WHERE relation IN ("
            "SELECT p.relation FROM privacy_scan.partition_policies p"
            " WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = p.relation::oid)"
            " FOR UPDATE SKIP LOCKED)");
}

} // namespace privacy_scan::partition
