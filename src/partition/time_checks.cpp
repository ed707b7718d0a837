// CHECKs on a time column of partitions by id, so that queries by that time are pruned, too. A CHECK refuses
// statements, so these are made only where somebody asks for them: see doc/partitions.md for what they
// refuse.
#include "pg/postgres.hpp"

#include "partition/partition_maintain.hpp"
#include "pg/arguments.hpp"
#include "pg/clock.hpp"
#include "pg/entry.hpp"
#include "pg/ident.hpp"
#include "pg/memory.hpp"
#include "pg/standby.hpp"

extern "C" {
#include <catalog/pg_class_d.h>
#include <utils/lsyscache.h>
#include <utils/timestamp.h>
}

using namespace privacy_scan;
using namespace privacy_scan::partition;

namespace
{

constexpr const char *check_name = "privacy_scan_time_check";

// The time column, and how wide the CHECKs are.
struct TimeColumn {
    std::string name; // quoted
    Oid type;
    Datum grace, slack; // intervals
};

struct Closed {
    Oid relid;
    Cell bounds;
};

Datum positive_interval(const pg::Arguments &args, int n, const char *name)
{
    const Datum value = args.required(n, name);
    const Interval *interval = DatumGetIntervalP(value);
    if (interval->month < 0 || interval->day < 0 || interval->time < 0)
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE,
                 std::string("argument \"") + name + "\" must not be negative");
    return value;
}

TimeColumn time_column(const pg::Arguments &args, Oid relid)
{
    const std::string column = NameStr(*DatumGetName(args.required(1, "column")));
    const char *name = column.c_str();
    const AttrNumber number = pg::guarded([=] { return get_attnum(relid, name); });
    if (number <= 0)
        pg::fail(ERRCODE_UNDEFINED_COLUMN,
                 "column \"" + column + "\" of relation \"" + pg::relation_name(relid) + "\" does not exist");
    const Oid type = pg::guarded([=] { return get_atttype(relid, number); });
    if (type != TIMESTAMPOID && type != TIMESTAMPTZOID)
        pg::fail(ERRCODE_DATATYPE_MISMATCH, "column \"" + column + "\" is not a time", {},
                 "It is to be a timestamp or timestamptz.");
    return {pg::quote(column), type, positive_interval(args, 2, "grace"),
            positive_interval(args, 3, "slack")};
}

// On UTC's calendar.
Instant shifted(Instant instant, Datum interval, PGFunction by)
{
    return pg::guarded(
        [=] { return DatumGetTimestamp(DirectFunctionCall2(by, TimestampGetDatum(instant), interval)); });
}

bool has_check(pg::Spi &spi, Oid relid, bool *valid)
{
    pg::CatalogScope scope;
    const pg::Rows rows = spi.run("SELECT convalidated FROM pg_catalog.pg_constraint"
                                  " WHERE conrelid = $1 AND conname = $2 AND contype = 'c'",
                                  {pg::oid_param(relid), pg::text_param(check_name)});
    if (!rows.empty())
        *valid = rows.boolean(0, 1);
    return !rows.empty();
}

// The plain tables whose window ended a grace period ago, and that have no valid CHECK yet.
std::vector<Closed> closed_partitions(pg::Spi &spi, const PartitionSet &set, const TimeColumn &time)
{
    const Layout layout = set.layout();
    const std::int64_t limit =
        set.key().axis_of_instant(shifted(pg::now(), time.grace, timestamp_mi_interval));
    std::vector<Closed> closed;
    for (std::size_t i = 0; i < layout.taken.size() && layout.taken[i].upper <= limit; ++i) {
        const Oid relid = layout.partitions[i];
        bool valid = false;
        if (pg::guarded([=] { return get_rel_relkind(relid); }) == RELKIND_RELATION &&
            !(has_check(spi, relid, &valid) && valid))
            closed.push_back({relid, layout.taken[i]});
    }
    return closed;
}

// What the CHECK admits: the window of the partition's ids with the slack on both sides, and whatever its
// rows hold. Empty where they hold an infinity, which no bound would be right for.
std::string condition(pg::Spi &spi, const PartitionSet &set, const TimeColumn &time, const Closed &partition)
{
    const KeyAxis axis(time.type, utc_zone());
    const pg::Rows row = spi.run("SELECT min(" + time.name + "), max(" + time.name + ") FROM " +
                                 pg::qualified_name(partition.relid));
    Instant high =
        shifted(set.key().instant_of_axis(partition.bounds.upper), time.slack, timestamp_pl_interval);
    Instant low = axis_max;
    const bool has_lower = partition.bounds.lower != axis_min;
    if (has_lower)
        low = shifted(set.key().instant_of_axis(partition.bounds.lower), time.slack, timestamp_mi_interval);
    if (!row.is_null(0, 1)) {
        const auto first = row.int8(0, 1), last = row.int8(0, 2);
        if (first == axis_min || last == axis_max)
            return {};
        low = std::min(low, first);
        high = std::max(high, last);
    }
    auto literal = [&](Instant instant) { return pg::quote_text(axis.text_of(instant)); };
    const std::string upper = time.name + " <= " + literal(high);
    return has_lower ? time.name + " >= " + literal(low) + " AND " + upper : upper;
}

// Makes the CHECK, not valid, where it isn't there: an instant under ACCESS EXCLUSIVE.
void add_check(pg::Spi &spi, const PartitionSet &set, const TimeColumn &time, const Closed &partition,
               Actions &actions)
{
    bool valid = false;
    if (has_check(spi, partition.relid, &valid))
        return;
    pg::OwnerScope owner(set.table().owner);
    const std::string name = pg::qualified_name(partition.relid);
    const std::string check = condition(spi, set, time, partition);
    if (check.empty())
        pg::fail(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE,
                 "column " + time.name + " of " + name + " holds an infinity");
    auto failure = pg::try_with_locks({partition.relid}, actions.wait(), [&] {
        spi.run("ALTER TABLE " + name + " ADD CONSTRAINT " + check_name + " CHECK (" + check + ") NOT VALID");
    });
    if (failure)
        pg::raise(*failure);
}

void drop_check(pg::Spi &spi, const PartitionSet &set, Oid relid, Actions &actions)
{
    pg::OwnerScope owner(set.table().owner);
    auto failure = pg::try_with_locks({relid}, actions.wait(), [&] {
        spi.run("ALTER TABLE " + pg::qualified_name(relid) + " DROP CONSTRAINT " + check_name);
    });
    if (failure)
        pg::raise(*failure);
}

// Reads the rows under a lock that lets writers go on. A row that came between two transactions may
// contradict the CHECK: then the row is right.
void validate_check(pg::Spi &spi, const PartitionSet &set, const Closed &partition, Actions &actions)
{
    const TimestampTz begun = GetCurrentTimestamp();
    const std::string name = pg::qualified_name(partition.relid);
    auto failure = actions.attempt([&] {
        pg::OwnerScope owner(set.table().owner);
        spi.run("ALTER TABLE " + name + " VALIDATE CONSTRAINT " + check_name);
    });
    Action action{name, partition.bounds, "constrained", 0, pg::ms_since(begun), {}};
    if (failure && failure->sqlstate == "23514") {
        drop_check(spi, set, partition.relid, actions);
        action.action = "left: rows changed meanwhile";
    } else if (failure) {
        pg::raise(*failure);
    }
    actions.add(set, action);
}

} // namespace

// CALL privacy_scan.add_time_checks(relation regclass, column name, grace interval, slack interval): for each
// partition of a managed relation whose window ended a grace period ago, a CHECK that the time column lies
// within the window, widened by slack on both sides and to what its rows hold. Two transactions for each: the
// CHECK not valid, under ACCESS EXCLUSIVE for a moment; then validated, writers going on. A NOTICE for each,
// a WARNING where one fails. Errors: 22004, 22023, 42501, 42703, 42704, 42804, 2D000 in a transaction block.
PS_WRITING_FUNCTION(ps_add_time_checks)
{
    pg::Arguments args(fcinfo);
    const Oid relid = args.relation(0);
    pg::require_owner(relid);
    const TimeColumn time = time_column(args, relid);
    pg::Spi spi(fcinfo);
    Actions actions;
    std::vector<Closed> partitions;
    look_at(spi, relid, actions, [&](const PartitionSet &set) {
        if (!set.key().is_temporal())
            pg::fail(ERRCODE_INVALID_PARAMETER_VALUE,
                     "the partitions of an integer key have no window of time");
        partitions = closed_partitions(spi, set, time);
        return true;
    });
    using Step = std::function<void(const PartitionSet &, const Closed &)>;
    const Step steps[] = {[&](const PartitionSet &set, const Closed &partition) {
                              add_check(spi, set, time, partition, actions);
                          },
                          [&](const PartitionSet &set, const Closed &partition) {
                              validate_check(spi, set, partition, actions);
                          }};
    for (const Closed &partition : partitions)
        for (const Step &step : steps) {
            pg::MemoryScope memory("step of add_time_checks");
            auto failure = actions.attempt([&] { step(managed_set(spi, relid, actions), partition); });
            if (failure)
                actions.add_failure(relid, *failure);
            actions.finish();
            spi.commit();
            if (failure)
                break;
        }
    return Datum(0);
}

// privacy_scan.drop_time_checks(relation regclass) returns int: drops what add_time_checks() made, under
// ACCESS EXCLUSIVE on each partition to the end of the transaction. Their number. VOLATILE. Errors: 22004,
// 42501, 42704, 55P03.
PS_WRITING_FUNCTION(ps_drop_time_checks)
{
    pg::Arguments args(fcinfo);
    const Oid relid = args.relation(0);
    pg::Spi spi;
    Actions actions;
    const PartitionSet set = managed_set(spi, relid, actions);
    std::int32_t dropped = 0;
    for (Oid partition : read_layout(relid, set.key()).partitions) {
        bool valid = false;
        if (!has_check(spi, partition, &valid))
            continue;
        drop_check(spi, set, partition, actions);
        ++dropped;
    }
    return Int32GetDatum(dropped);
}
