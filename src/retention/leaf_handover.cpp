// See leaf_handover.hpp.
#include "pg/postgres.hpp"

#include "retention/leaf_handover.hpp"

#include "partition/foreign_key.hpp"
#include "pg/clock.hpp"
#include "pg/failpoint.hpp"
#include "pg/guc.hpp"
#include "pg/ident.hpp"
#include "pg/lock.hpp"
#include "pg/relation.hpp"

extern "C" {
#include <utils/timestamp.h>
}

namespace privacy_scan::retention
{

namespace
{

void add_once(std::vector<pg::OwnedTable> &tables, pg::OwnedTable table)
{
    auto same = [&](const pg::OwnedTable &other) { return other.relid == table.relid; };
    if (std::none_of(tables.begin(), tables.end(), same))
        tables.push_back(table);
}

void add_all(std::vector<pg::OwnedTable> &tables, const pg::Rows &rows)
{
    for (std::size_t row = 0; row < rows.size(); ++row)
        add_once(tables, {rows.oid(row, 1), rows.oid(row, 2)});
}

// $1 the parent.
constexpr char default_of[] = "SELECT c.oid, c.relowner FROM pg_catalog.pg_partitioned_table p JOIN "
                                   "pg_catalog.pg_class c ON c.oid = p.partdefid"
                                   " WHERE p.partrelid = $1";

// $1 the leaf. What it refers to, with partitions: dropping a foreign key locks it.
constexpr char referenced_by[] =
    "WITH referenced AS (SELECT confrelid FROM pg_catalog.pg_constraint WHERE conrelid = $1 AND contype = "
    "'f')"
    " SELECT c.oid, c.relowner FROM pg_catalog.pg_class c WHERE c.oid IN (SELECT confrelid FROM referenced"
    "  UNION SELECT t.relid FROM referenced, LATERAL pg_partition_tree(confrelid) t) ORDER BY c.oid";

// In the order in which they are locked: who refers to the leaves, children with their leaves and archives, the root
// with its own, then what the leaves refer to.
std::vector<pg::OwnedTable> tables_to_lock(pg::Spi &spi, const Work &work,
                                           const std::vector<ArchiveTable> &archives,
                                           const std::vector<CheckedLeaf> &leaves)
{
    std::vector<pg::OwnedTable> tables;
    for (const CheckedLeaf &checked : leaves)
        for (const partition::Share &share : partition::shares_in(spi, {checked.leaf->table.relid}))
            add_once(tables, share.referring);
    for (const CheckedLeaf &checked : leaves) {
        const Member &member = work.family.members[checked.leaf->member];
        add_once(tables, member.table);
        add_all(tables, spi.run_kept(default_of, {pg::oid_param(member.table.relid)}));
        add_once(tables, checked.leaf->table);
        if (work.policy.keeps_leaves())
            add_once(tables, {archives[checked.leaf->member].relid, member.table.owner});
    }
    for (const CheckedLeaf &checked : leaves)
        add_all(tables, spi.run_kept(referenced_by, {pg::oid_param(checked.leaf->table.relid)}));
    return tables;
}

void require_unchanged(const CheckedLeaf &checked)
{
    const Oid relid = checked.leaf->table.relid;
    {
        const pg::RelationScope leaf(relid, AccessExclusiveLock);
        if (checked.pages && !pg::guarded([&] { return same_leaf_pages(leaf.get(), *checked.pages); }))
            pg::fail(ERRCODE_LOCK_NOT_AVAILABLE,
                     "relation \"" + pg::relation_name(relid) + "\" was written to");
    }
    pg::require_no_serializable_readers(relid);
}

// Rights that were given on the table or its columns, by whomever.
void revoke_all(pg::Spi &spi, Oid relid)
{
    pg::Rows others = spi.run_kept(
        "SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE "
        "quote_ident(pg_get_userbyid(a.grantee)::text) END"
        " FROM (SELECT relowner AS owner, relacl AS acl FROM pg_catalog.pg_class WHERE oid = $1 UNION ALL"
        "  SELECT c.relowner, t.attacl FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute t ON "
        "t.attrelid = c.oid"
        "  WHERE c.oid = $1) AS given, LATERAL aclexplode(given.acl) AS a WHERE a.grantee <> given.owner",
        {pg::oid_param(relid)});
    for (std::size_t row = 0; row < others.size(); ++row)
        spi.run("REVOKE ALL ON " + pg::qualified_name(relid) + " FROM " + others.text(row, 1) + " CASCADE");
}

// What ties the detached leaf to others: foreign keys that would keep the roots in place, defaults that would
// keep the sequences of the live relation. As changes of the table.
std::string ties_of(pg::Spi &spi, Oid relid)
{
    pg::Rows rows =
        spi.run_kept("SELECT 'DROP CONSTRAINT ' || quote_ident(conname::text) FROM pg_catalog.pg_constraint"
                     " WHERE conrelid = $1 AND contype = 'f' AND conparentid = 0 UNION ALL"
                     " SELECT 'ALTER COLUMN ' || quote_ident(attname::text) || ' DROP DEFAULT' FROM "
                     "pg_catalog.pg_attribute"
                     " WHERE attrelid = $1 AND attnum > 0 AND atthasdef AND NOT attisdropped",
                     {pg::oid_param(relid)});
    std::string changes;
    for (std::size_t row = 0; row < rows.size(); ++row)
        changes += (row ? ", " : "") + rows.text(row, 1);
    return changes;
}

// $1 the leaf, $2 the schema, $3 that the ledger knows another by its name: the statements that rename what would meet a
// relation, or statistics, of its name there: the leaf itself comes last, being named in the others.
constexpr char renames[] =
    "WITH parts AS (SELECT 1 AS place, 'INDEX' AS kind, indexrelid AS id FROM pg_catalog.pg_index WHERE "
    "indrelid = $1"
    "  UNION ALL SELECT 2, 'SEQUENCE', objid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s"
    "   ON s.oid = d.objid AND s.relkind = 'S' WHERE d.classid = 'pg_class'::regclass AND d.refobjid = $1"
    "   AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')"
    "  UNION ALL SELECT 3, 'TABLE', $1)"
    " SELECT 'ALTER ' || kind || ' ' || format('%I.%I', n.nspname, c.relname) || ' RENAME TO ', "
    "c.relname::text,"
    "  c.oid::text, place FROM parts p JOIN pg_catalog.pg_class c ON c.oid = p.id"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, pg_catalog.pg_namespace t WHERE t.nspname = "
    "$2"
    "  AND (kind = 'TABLE' AND $3 OR EXISTS (SELECT FROM pg_catalog.pg_class o WHERE o.relnamespace = t.oid AND o.relname = c.relname)"
    "   OR kind = 'TABLE' AND EXISTS (SELECT FROM pg_catalog.pg_type o"
    "    WHERE o.typnamespace = t.oid AND o.typname = c.relname))"
    " ORDER BY 4, 3";

// Does the ledger know an archive of this name: one that isn't empty by its count, though it may have been lost, that is a file, or
// that had its grace period?
bool is_in_ledger(pg::Spi &spi, const std::string &name)
{
    pg::CatalogScope scope;
    return !spi.run_kept("SELECT FROM privacy_scan.archive_balances WHERE leaf = $1 AND rows IS DISTINCT FROM 0"
                         " UNION ALL SELECT FROM privacy_scan.archive_file_ledger WHERE leaf = $1"
                         " UNION ALL SELECT FROM privacy_scan.detached_tables WHERE leaf = $1",
                         {pg::text_param(name)})
                .empty();
}

void move_to_schema(pg::Spi &spi, Oid relid, const std::string &schema, bool is_known)
{
    const std::string name = pg::relation_name(relid);
    if (pg::schema_name(relid) == schema) {
        if (is_known)
            spi.run("ALTER TABLE " + pg::qualified_name(relid) + " RENAME TO " +
                    pg::quote(pg::name_with_suffix(name, "_" + std::to_string(relid))));
        return;
    }
    pg::Rows taken = spi.run_kept(renames, {pg::oid_param(relid), pg::text_param(schema), pg::bool_param(is_known)});
    for (std::size_t row = 0; row < taken.size(); ++row)
        spi.run(taken.text(row, 1) +
                pg::quote(pg::name_with_suffix(taken.text(row, 2), "_" + taken.text(row, 3))));
    spi.run("ALTER TABLE " + pg::qualified_name(relid) + " SET SCHEMA " + pg::quote(schema));
}

// Nobody refers to the leaf's rows any more: who did has gone before, in this transaction.
void detach(pg::Spi &spi, const Member &member, Oid relid)
{
    for (const partition::Share &share : partition::shares_in(spi, {relid}))
        pg::guarded([&] { partition::drop_share(share.constraint); });
    partition::drop_inherited_keys(spi, {relid});
    spi.run("ALTER TABLE " + member.name + " DETACH PARTITION " + pg::qualified_name(relid));
}

// To its archive, as a child of it, or, of a policy that detaches, to stand alone beside it. One that is
// discarded is dropped. is_known: the ledger has another of its name.
std::string hand_over_one(pg::Spi &spi, const Work &work, const Member &member, Oid relid,
                          const ArchiveTable &archive, bool is_known)
{
    const std::string name = pg::qualified_name(relid);
    detach(spi, member, relid);
    if (work.policy.discards()) {
        spi.run("DROP TABLE " + name);
        return name;
    }
    revoke_all(spi, relid);
    std::string changes = ties_of(spi, relid);
    if (work.policy.keeps_leaves())
        changes += (changes.empty() ? "" : ", ") + ("INHERIT " + archive.name);
    if (!changes.empty())
        spi.run("ALTER TABLE " + name + " " + changes);
    move_to_schema(spi, relid, pg::schema_name(archive.relid), is_known);
    PS_FAILPOINT("handover.moved");
    return pg::qualified_name(relid);
}

// Parents first: the foreign keys of the others look for them.
void settle_all(pg::Spi &spi, const Work &work, const std::vector<CheckedLeaf> &leaves,
                const std::vector<std::string> &names)
{
    for (std::size_t i = leaves.size(); i-- > 0;)
        if (leaves[i].refuge && !names[i].empty())
            settle(spi, *leaves[i].refuge, *leaves[i].leaf, work.family.members[leaves[i].leaf->member].table.relid,
                   work.policy.discards() ? std::string() : names[i]);
}

} // namespace

std::vector<std::string> hand_over(pg::Spi &spi, const Work &work, const std::vector<ArchiveTable> &archives,
                                   const std::vector<CheckedLeaf> &leaves, double &locked_ms)
{
    pg::GucScope settings;
    pg::ask_briefly(settings);
    const std::vector<pg::OwnedTable> tables = tables_to_lock(spi, work, archives, leaves);
    std::vector<Oid> relids;
    for (const pg::OwnedTable &table : tables)
        relids.push_back(table.relid);
    std::vector<bool> known;
    for (const CheckedLeaf &checked : leaves)
        known.push_back(!work.policy.discards() &&
                        is_in_ledger(spi, pg::quote(pg::schema_name(archives[checked.leaf->member].relid),
                                                    pg::relation_name(checked.leaf->table.relid))));
    std::vector<std::string> names;
    TimestampTz begun = 0;
    pg::LockWait wait;
    auto failure = pg::try_with_locks(relids, wait, [&] {
        names.clear();
        begun = 0;
        for (const pg::OwnedTable &table : tables) {
            pg::lock_owned(table, AccessExclusiveLock);
            begun = begun ? begun : GetCurrentTimestamp();
        }
        for (const CheckedLeaf &checked : leaves)
            require_unchanged(checked);
        PS_FAILPOINT("handover.locked");
        for (std::size_t i = 0; i < leaves.size(); ++i) {
            const std::size_t member = leaves[i].leaf->member;
            names.push_back(leaves[i].stays ? std::string()
                                            : hand_over_one(spi, work, work.family.members[member],
                                                            leaves[i].leaf->table.relid, archives[member], known[i]));
        }
        settle_all(spi, work, leaves, names);
    });
    if (failure)
        pg::raise(*failure);
    locked_ms = pg::ms_since(begun);
    return names;
}

} // namespace privacy_scan::retention
