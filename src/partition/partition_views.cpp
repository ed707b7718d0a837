// What the views partitions and partition_sets are made of.
#include "pg/postgres.hpp"

#include "partition/partition_policy.hpp"
#include "pg/arguments.hpp"
#include "pg/compat.hpp"
#include "pg/entry.hpp"
#include "pg/ident.hpp"
#include "pg/rowset.hpp"

extern "C" {
#include <access/table.h>
#include <access/tableam.h>
#include <catalog/partition.h>
#include <storage/bufmgr.h>
#include <utils/acl.h>
#include <utils/snapmgr.h>
#include <utils/timestamp.h>
}

using namespace privacy_scan;
using namespace privacy_scan::partition;

namespace
{

// Red. Rows of a table that the active snapshot sees: no SQL, so no policy, function or right plays a part.
std::int64_t count_visible(Oid relid)
{
    Relation rel = table_open(relid, AccessShareLock);
    std::int64_t rows = 0;
    if (rel->rd_rel->relkind == RELKIND_RELATION && RelationGetNumberOfBlocks(rel) > 0) {
        TupleTableSlot *slot = table_slot_create(rel, nullptr);
        TableScanDesc scan = table_beginscan(rel, GetActiveSnapshot(), 0, nullptr);
        while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
            CHECK_FOR_INTERRUPTS();
            ++rows;
        }
        table_endscan(scan);
        ExecDropSingleTupleTableSlot(slot);
    }
    table_close(rel, AccessShareLock);
    return rows;
}

void require_reader(Oid relid)
{
    const Oid caller = GetUserId();
    bool allowed = pg::guarded([=] {
        return pg::compat::owns_relation(relid, caller) ||
               pg_class_aclcheck(relid, caller, ACL_SELECT) == ACLCHECK_OK;
    });
    if (!allowed)
        pg::fail(ERRCODE_INSUFFICIENT_PRIVILEGE, "permission denied for table " + pg::relation_name(relid));
}

const char *state_of(const Cell &bounds, std::int64_t clock)
{
    if (bounds.upper <= clock)
        return "past";
    return bounds.lower > clock ? "future" : "current";
}

} // namespace

// privacy_scan.partition_bounds(relation regclass): the partitions of a managed relation, read from their
// bounds: partition, lower and upper bound as ISO text and (temporal keys) as instants, state (past, current,
// future, default). STABLE. Behind the view partitions. Errors: 42704 not managed, 42501 no right to read it.
PS_FUNCTION(ps_partition_bounds)
{
    using pg::cell;
    pg::Arguments args(fcinfo);
    Oid relid = args.relation(0);
    pg::RowSink sink(fcinfo);
    require_reader(relid);
    pg::Spi spi;
    // No PartitionSet: a set that can't be maintained any more must not take the view with it.
    const Policy policy = require_policy(spi, relid);
    const std::unique_ptr<Zone> zone = open_zone(policy.time_zone);
    const partition::PartitionKey column = pg::guarded([=] { return partition_key(relid); });
    const KeyAxis key(column.type, *zone, policy.key_kind, column.collation);
    const Layout layout = read_layout(relid, key);
    auto instant = [&](std::int64_t axis) {
        bool known = key.is_temporal() && axis != axis_min && axis != axis_max;
        return known ? pg::cell_instant(key.instant_of_axis(axis)) : pg::null_cell();
    };
    for (std::size_t i = 0; i < layout.taken.size(); ++i) {
        const Cell &bounds = layout.taken[i];
        const std::string state =
            key.is_temporal() ? state_of(bounds, key.axis_of_instant(GetCurrentTimestamp())) : "attached";
        const auto [lower, upper] =
            key.kind() ? layout.ids[i] : std::pair(key.text_of(bounds.lower), key.text_of(bounds.upper));
        sink.put({pg::cell_oid(layout.partitions[i]), cell(lower), cell(upper), instant(bounds.lower),
                  instant(bounds.upper), cell(state)});
    }
    if (OidIsValid(layout.default_partition))
        sink.put({pg::cell_oid(layout.default_partition), pg::null_cell(), pg::null_cell(), pg::null_cell(),
                  pg::null_cell(), cell("default")});
    return Datum(0);
}

// privacy_scan.count_default_rows(relation regclass) returns bigint: rows in the DEFAULT partition, counted;
// NULL where there is none. STABLE. Errors: 42501.
PS_FUNCTION(ps_count_default_rows)
{
    pg::Arguments args(fcinfo);
    Oid relid = args.relation(0);
    require_reader(relid);
    Oid default_partition = pg::guarded([=] { return get_default_partition_oid(relid); });
    if (!OidIsValid(default_partition))
        PG_RETURN_NULL();
    return Int64GetDatum(pg::guarded([=] { return count_visible(default_partition); }));
}
