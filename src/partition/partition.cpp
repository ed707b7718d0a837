// The room's SQL functions. Each checks its arguments and the caller's rights before it takes a lock.
#include "pg/postgres.hpp"

#include "partition/partition_maintain.hpp"
#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/ident.hpp"
#include "pg/memory.hpp"
#include "pg/standby.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <utils/timestamp.h>
}

using namespace privacy_scan;
using namespace privacy_scan::partition;

namespace
{

Instant instant_of(const pg::Arguments &args, int n, const char *name)
{
    Instant value = DatumGetTimestampTz(args.required(n, name));
    if (value < first_instant || value >= last_instant)
        pg::fail(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE,
                 std::string("argument \"") + name + "\" lies outside the years 1 to 9999", {},
                 "No partition lies beyond them; rows that do stay in DEFAULT.");
    return value;
}

IntervalFields fields_of(Datum value)
{
    const Interval *interval = DatumGetIntervalP(value);
    return {interval->month, interval->day, interval->time};
}

// Refuses a range that no grid reaches, and one of more partitions than one call may create.
void check_range(const PartitionSet &set, std::int64_t from, std::int64_t to)
{
    if (!set.grid().cell_at(from))
        pg::fail(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "no partition can hold the beginning of the range",
                 "Partitions lie within the years 1 to 9999 and within the values of the key's type.",
                 "Begin the range later.");
    const auto most = static_cast<std::size_t>(settings::partition_max_created());
    if (missing_pieces(set.grid(), set.layout().taken, from, to, most + 1).size() > most)
        pg::fail(ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                 "the range needs more than " + std::to_string(most) + " new partitions",
                 "privacy_scan.partition_max_created limits what one call may create.",
                 "Take a shorter range or a longer interval.");
}

void check_managed(pg::Spi &spi, Oid relid, Actions &actions)
{
    look_at(spi, relid, actions, [](const PartitionSet &) { return true; });
}

void manage(pg::Spi &spi, const Policy &policy, std::optional<std::int64_t> start, Instant now,
            Actions &actions)
{
    const PartitionSet set(lock_for_change(policy.relid, actions), policy);
    if (find_policy(spi, policy.relid))
        pg::fail(ERRCODE_DUPLICATE_OBJECT,
                 "partitions of relation \"" + pg::relation_name(policy.relid) + "\" are managed already", {},
                 "Change them with privacy_scan.set_partitions().");
    insert_policy(spi, policy);
    if (start) {
        const std::int64_t clock = std::max(*start, clock_of(spi, set, set.layout(), now));
        check_range(set, *start, step_cells(set.grid(), clock, policy.premake + 1));
    }
    maintain(spi, set, now, start, OnFailure::raise, actions);
}

} // namespace

// privacy_scan.manage_partitions(relation regclass, key name, every interval, premake int, time_zone text,
// default_partition boolean, start timestamptz, key_kind text): registers a range-partitioned relation and
// creates what is missing: from the cell of start (NULL: of now) to premake cells after that of now, and
// DEFAULT. key_kind: NULL for a time key, else the kind of the ids (key_kind.hpp), whose bounds follow the
// clock. Returns the rows of maintain_partitions(). VOLATILE. Errors: 22004 a NULL, 42501 not the owner,
// 42809 wrong kind of relation, 42703 and 22023 wrong key, 42P16 nullable key, 22023 interval, premake, zone,
// kind, 42P22 collation of the key, 42P17 a partition whose bound is no time of the kind, 22008 start, 54000
// too many partitions, 42710 managed already.
PS_WRITING_FUNCTION(ps_manage_partitions)
{
    pg::Arguments args(fcinfo);
    Policy policy;
    policy.relid = args.relation(0);
    policy.key = NameStr(*DatumGetName(args.required(1, "key")));
    policy.every = fields_of(args.required(2, "every"));
    policy.premake = DatumGetInt32(args.required(3, "premake"));
    policy.time_zone = args.text(4, "time_zone");
    policy.default_partition = DatumGetBool(args.required(5, "default_partition"));
    std::optional<Instant> start;
    if (!args.is_null(6))
        start = instant_of(args, 6, "start");
    policy.key_kind = args.text_or_empty(7);
    Actions actions(fcinfo);
    pg::Spi spi;
    if (start) {
        const PartitionSet set(lock_for_change(policy.relid, actions), policy);
        if (!set.key().is_temporal())
            refuse_width(set.key());
        start = set.key().axis_of_instant(*start);
    }
    manage(spi, policy, start, GetCurrentTimestamp(), actions);
    return actions.finish();
}

// privacy_scan.manage_partitions(relation regclass, key name, step bigint, premake int, default_partition
// boolean, start bigint): the same for an integer key; the clock is the largest key outside DEFAULT.
PS_WRITING_FUNCTION(ps_manage_partitions_by_step)
{
    pg::Arguments args(fcinfo);
    Policy policy;
    policy.relid = args.relation(0);
    policy.key = NameStr(*DatumGetName(args.required(1, "key")));
    policy.step = DatumGetInt64(args.required(2, "step"));
    policy.premake = DatumGetInt32(args.required(3, "premake"));
    policy.default_partition = DatumGetBool(args.required(4, "default_partition"));
    std::optional<std::int64_t> start;
    if (!args.is_null(5))
        start = DatumGetInt64(args.datum(5));
    Actions actions(fcinfo);
    pg::Spi spi;
    manage(spi, policy, start, GetCurrentTimestamp(), actions);
    return actions.finish();
}

// privacy_scan.unmanage_partitions(relation regclass): forgets the policy; the partitions stay as they are.
// True where there was one. VOLATILE. Errors: 22004, 42501.
PS_WRITING_FUNCTION(ps_unmanage_partitions)
{
    pg::Arguments args(fcinfo);
    Oid relid = args.relation(0);
    pg::require_owner(relid);
    pg::Spi spi;
    Actions actions;
    lock_for_change(relid, actions);
    return BoolGetDatum(delete_policy(spi, relid));
}

// privacy_scan.set_partitions(relation regclass, premake int, every interval, step bigint, default_partition
// boolean): changes what is given (NULL: stays) and creates what is missing. New bounds start where the old
// ones end; existing partitions keep theirs. VOLATILE. Errors as manage_partitions(), 42704 not managed.
PS_WRITING_FUNCTION(ps_set_partitions)
{
    pg::Arguments args(fcinfo);
    Oid relid = args.relation(0);
    pg::require_owner(relid);
    Actions actions(fcinfo);
    pg::Spi spi;
    const pg::OwnedTable table = lock_for_change(relid, actions);
    key_column(relid);
    Policy policy = require_policy(spi, relid);
    if (!args.is_null(1))
        policy.premake = DatumGetInt32(args.datum(1));
    if (!args.is_null(2))
        policy.every = fields_of(args.datum(2));
    if (!args.is_null(3))
        policy.step = DatumGetInt64(args.datum(3));
    if (!args.is_null(4))
        policy.default_partition = DatumGetBool(args.datum(4));
    const PartitionSet set(table, policy);
    if (set.key().is_temporal() ? policy.step.has_value() : policy.every.has_value())
        refuse_width(set.key());
    update_policy(spi, policy);
    maintain(spi, set, GetCurrentTimestamp(), std::nullopt, OnFailure::raise, actions);
    return actions.finish();
}

// privacy_scan.maintain_partitions(relation regclass, at timestamptz): creates ahead of the instant and
// drains one batch of DEFAULT, for one set or (NULL) all that the caller owns. A row per action; a set that
// fails is a row with SQLSTATE and message. No row: nothing to do. On a standby: one row that says so.
// VOLATILE. Errors: 22004 at is NULL, 22008; for one relation also 42501, 42704.
PS_WRITING_FUNCTION(ps_maintain_partitions)
{
    pg::Arguments args(fcinfo);
    const Instant at = instant_of(args, 1, "at");
    Actions actions(fcinfo);
    pg::Spi spi;
    if (!args.is_null(0)) {
        Oid relid = args.relation(0);
        check_managed(spi, relid, actions);
        maintain_one(spi, relid, at, actions);
        return actions.finish();
    }
    forget_dropped(spi);
    for (Oid relid : managed_relations(spi))
        maintain_one(spi, relid, at, actions);
    return actions.finish();
}

// CALL privacy_scan.run_maintenance(relation regclass, at timestamptz): maintain_partitions() with a
// transaction for each set, so that no set waits for the locks of another; a NOTICE per action, and a WARNING
// with SQLSTATE for a set that fails. Errors as maintain_partitions(), and 2D000 inside a transaction block.
PS_WRITING_FUNCTION(ps_run_maintenance)
{
    pg::Arguments args(fcinfo);
    const Instant at = instant_of(args, 1, "at");
    pg::Spi spi(fcinfo);
    Actions actions;
    forget_dropped(spi);
    std::vector<Oid> relids = managed_relations(spi);
    if (!args.is_null(0)) {
        relids = {args.relation(0)};
        check_managed(spi, relids.front(), actions);
    }
    for (Oid relid : relids) {
        maintain_one(spi, relid, at, actions);
        actions.finish();
        spi.commit();
    }
    return Datum(0);
}

namespace
{

void ensure(pg::Spi &spi, const PartitionSet &set, std::int64_t from, std::int64_t to, Actions &actions)
{
    if (from >= to)
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "the range is empty", {}, "Give a start before its end.");
    check_range(set, from, to);
    const PartitionBatch batch = make_missing(spi, set, {{from, to}}, WithDefault::yes);
    attach_batch(spi, set, batch, ShareUpdateExclusiveLock, actions);
}

} // namespace

// privacy_scan.ensure_partitions(relation regclass, "from" timestamptz, "to" timestamptz): creates the
// partitions of the cells from the one that holds from to the one before to. VOLATILE. Errors: 22023 empty
// range or integer key, 54000 more than privacy_scan.partition_max_created, and those of managed sets.
PS_WRITING_FUNCTION(ps_ensure_partitions)
{
    pg::Arguments args(fcinfo);
    Oid relid = args.relation(0);
    const Instant from = instant_of(args, 1, "from"), to = instant_of(args, 2, "to");
    Actions actions(fcinfo);
    pg::Spi spi;
    const PartitionSet set = managed_set(spi, relid, actions);
    if (!set.key().is_temporal())
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "an integer key takes a range of integers", {},
                 "Say, for instance, ensure_partitions('t', 0, 1000000).");
    ensure(spi, set, set.key().axis_of_instant(from), set.key().axis_of_instant(to), actions);
    return actions.finish();
}

// privacy_scan.ensure_partitions(relation regclass, "from" bigint, "to" bigint): the same for an integer key.
PS_WRITING_FUNCTION(ps_ensure_partitions_by_step)
{
    pg::Arguments args(fcinfo);
    Oid relid = args.relation(0);
    const std::int64_t from = DatumGetInt64(args.required(1, "from")),
                       to = DatumGetInt64(args.required(2, "to"));
    Actions actions(fcinfo);
    pg::Spi spi;
    const PartitionSet set = managed_set(spi, relid, actions);
    if (set.key().is_temporal())
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "a time key takes a range of instants", {},
                 "Say, for instance, ensure_partitions('t', '2025-01-01', '2025-07-01').");
    ensure(spi, set, from, to, actions);
    return actions.finish();
}

namespace
{

std::int64_t checked_batch(Datum value)
{
    std::int64_t batch = DatumGetInt32(value);
    if (batch < 1)
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "argument \"batch_rows\" must be at least 1", {},
                 "It is the number of rows that may be moved at once.");
    return batch;
}

} // namespace

// privacy_scan.drain_default(relation regclass, batch_rows int): moves up to batch_rows rows of DEFAULT into
// partitions of their own, whole cells at a time, in the caller's transaction. Again until no row says
// drained. VOLATILE. Errors: 22004, 22023 batch_rows, 42501, 42704; 55P03 where the locks could not be had.
PS_WRITING_FUNCTION(ps_drain_default)
{
    pg::Arguments args(fcinfo);
    Oid relid = args.relation(0);
    const std::int64_t batch = checked_batch(args.required(1, "batch_rows"));
    Actions actions(fcinfo);
    pg::Spi spi;
    const PartitionSet set = managed_set(spi, relid, actions);
    drain(spi, set, clock_of(spi, set, set.layout(), GetCurrentTimestamp()), batch, actions);
    return actions.finish();
}

// CALL privacy_scan.run_drain(relation regclass, batch_rows int): drains DEFAULT batch by batch, a
// transaction each, until nothing movable is left; a NOTICE per partition. Errors as drain_default(), and
// 2D000 inside a transaction block.
PS_WRITING_FUNCTION(ps_run_drain)
{
    pg::Arguments args(fcinfo);
    Oid relid = args.relation(0);
    const std::int64_t batch = checked_batch(args.required(1, "batch_rows"));
    pg::Spi spi(fcinfo);
    Actions actions;
    std::int64_t moved;
    do {
        pg::MemoryScope memory("batch of run_drain");
        const PartitionSet set = managed_set(spi, relid, actions);
        moved = drain(spi, set, clock_of(spi, set, set.layout(), GetCurrentTimestamp()), batch, actions);
        actions.finish();
        spi.commit();
    } while (moved > 0);
    return Datum(0);
}
