// See refuge.hpp.
#include "pg/postgres.hpp"

#include "retention/refuge.hpp"

#include "partition/foreign_key.hpp"
#include "partition/proven.hpp"
#include "pg/failpoint.hpp"
#include "pg/ident.hpp"
#include "pg/relation.hpp"
#include "pg/row_stamp.hpp"
#include "retention/archive_total.hpp"
#include "retention/publication.hpp"

extern "C" {
#include <access/tableam.h>
#include <catalog/partition.h>
#include <executor/tuptable.h>
#include <utils/lsyscache.h>
#include <utils/snapmgr.h>
}

namespace privacy_scan::retention
{

namespace
{

// $1 the leaf.
constexpr const char *has_trigger = "SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal"
                                    " AND tgfoid <> 'privacy_scan.check_unique'::regproc)";

// $1 the set. PostgreSQL looks through DEFAULT where what is said of its rows does not prove that the leaf has none of them there:
// as text, a bound has the collation of its column, and says nothing in another; a set that is a partition has its own set's
// bounds besides.
constexpr const char *looks_through_default =
    "SELECT pg_relation_size(p.partdefid) > 1000 * current_setting('block_size')::bigint AND (c.relispartition OR EXISTS"
    " (SELECT FROM pg_catalog.pg_attribute a, unnest(p.partattrs::int2[], p.partcollation::oid[]) AS k (number, collid)"
    "  WHERE a.attrelid = p.partrelid AND a.attnum = k.number AND a.attcollation <> k.collid))"
    " FROM pg_catalog.pg_partitioned_table p JOIN pg_catalog.pg_class c ON c.oid = p.partrelid WHERE p.partrelid = $1";

// Red.
void make_old(Relation refuge)
{
    TupleTableSlot *slot = table_slot_create(refuge, nullptr);
    TableScanDesc rows = table_beginscan(refuge, SnapshotSelf, 0, nullptr);
    while (table_scan_getnextslot(rows, ForwardScanDirection, slot))
        pg::stamp_version(refuge, &slot->tts_tid, {InvalidTransactionId, InvalidTransactionId});
    table_endscan(rows);
    ExecDropSingleTupleTableSlot(slot);
}

std::string at_places(const std::string &leaf)
{
    return " FROM ONLY " + leaf + " AS t WHERE t.ctid = ANY ($1::pg_catalog.text::pg_catalog.tid[])";
}

RowTotal total_at(pg::Spi &spi, const std::string &leaf, const std::string &places)
{
    pg::Rows row = spi.run("SELECT (d).rows, (d).bytes, (d).digest FROM"
                           " (SELECT privacy_scan.row_digest(t.*) AS d" +
                               at_places(leaf) + ") AS r",
                           {pg::text_param(places)});
    return {row.int8(0, 1), row.int8(0, 2), digest_of(row.text(0, 3))};
}

void copy_rows(pg::Spi &spi, const Leaf &leaf, const std::string &columns, const Refuge &refuge)
{
    const std::string name = pg::qualified_name(refuge.relid);
    spi.run("INSERT INTO " + name + " (" + columns + ") OVERRIDING SYSTEM VALUE SELECT " + columns +
                at_places(leaf.name),
            {pg::text_param(refuge.places)});
    if (!same_rows(total_of(spi, "ONLY " + name), refuge.total))
        pg::fail(ERRCODE_LOCK_NOT_AVAILABLE, "rows of " + leaf.name + " that stay were written to");
    const pg::RelationScope relation(refuge.relid, RowExclusiveLock);
    pg::guarded([&] { make_old(relation.get()); });
}

} // namespace

std::string obstacle_to_refuge(pg::Spi &spi, const Member &member, const Leaf &leaf)
{
    if (is_published(spi, member.table.relid, Change::insert))
        return "a publication may tell of them as of new ones";
    pg::Rows looks_through = spi.run(looks_through_default, {pg::oid_param(member.table.relid)});
    if (!looks_through.empty() && !looks_through.is_null(0, 1) && looks_through.boolean(0, 1))
        return "DEFAULT would have to be read through under strong locks";
    return spi.run(has_trigger, {pg::oid_param(leaf.table.relid)}).boolean(0, 1)
               ? "it has a trigger, as while it is being split"
               : "";
}

std::optional<Refuge> make_refuge(pg::Spi &spi, const Work &work, const Leaf &leaf, const std::string &columns,
                                  const Staying &staying)
{
    pg::Rows rows = spi.run("SELECT array_agg(t.ctid)::text FROM ONLY " + leaf.name + " AS t WHERE " + staying.condition,
                            staying.params);
    if (rows.is_null(0, 1))
        return std::nullopt;
    const Oid set = work.family.members[leaf.member].table.relid;
    Refuge refuge{InvalidOid,
                  pg::relation_name(leaf.table.relid),
                  rows.text(0, 1),
                  {},
                  spi.run("SELECT pg_get_partition_constraintdef($1)", {pg::oid_param(leaf.table.relid)}).text(0, 1),
                  partition::read_blueprint(spi, set, leaf.table.relid)};
    refuge.total = total_at(spi, leaf.name, refuge.places);
    refuge.relid =
        partition::create_table(spi, set, refuge.blueprint, partition::new_partition_name(set, "_stay"),
                                partition::WithIndexes::yes);
    copy_rows(spi, leaf, columns, refuge);
    PS_FAILPOINT("refuge.made");
    return refuge;
}

namespace
{

// No foreign key is on the leaf any more.
void remove_rows(pg::Spi &spi, const Refuge &refuge, const std::string &leaf)
{
    const auto removed =
        static_cast<std::int64_t>(spi.run("DELETE" + at_places(leaf), {pg::text_param(refuge.places)}).affected());
    if (removed != refuge.total.rows)
        pg::fail(ERRCODE_DATA_CORRUPTED, leaf + " does not hold the rows that stay any more");
}

void take_name(pg::Spi &spi, const Refuge &refuge)
{
    const char *name = refuge.name.c_str();
    const Oid relid = refuge.relid;
    if (!OidIsValid(pg::guarded([=] { return get_relname_relid(name, get_rel_namespace(relid)); })))
        spi.run("ALTER TABLE " + pg::qualified_name(relid) + " RENAME TO " + pg::quote(refuge.name));
}

// PostgreSQL would look through DEFAULT for rows of the leaf: until now these have gone to the leaf.
void attach(pg::Spi &spi, const Refuge &refuge, Oid set, const std::string &bounds)
{
    const Oid default_partition = pg::guarded([=] { return get_default_partition_oid(set); });
    if (OidIsValid(default_partition))
        partition::prove_default(spi, default_partition, refuge.bounds);
    partition::attach_table(spi, set, refuge.blueprint, refuge.relid, bounds);
    if (OidIsValid(default_partition))
        partition::end_proof(spi, default_partition);
}

} // namespace

void settle(pg::Spi &spi, const Refuge &refuge, const Leaf &leaf, Oid set, const std::string &gone)
{
    if (!gone.empty())
        remove_rows(spi, refuge, gone);
    PS_FAILPOINT("refuge.removed");
    take_name(spi, refuge);
    for (const partition::ForeignKey &key : partition::foreign_keys_of(spi, set))
        partition::add_proven_key(refuge.relid, key);
    attach(spi, refuge, set, leaf.bounds);
    PS_FAILPOINT("refuge.settled");
}

} // namespace privacy_scan::retention
