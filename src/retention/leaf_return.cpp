// See leaf_return.hpp.
#include "pg/postgres.hpp"

#include "retention/leaf_return.hpp"

#include "pg/ident.hpp"
#include "pg/lock.hpp"
#include "retention/archive_total.hpp"
#include "retention/publication.hpp"
#include "unique/unique_check.hpp"

extern "C" {
#include <catalog/pg_class_d.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::retention
{

namespace
{

struct Candidate {
    Oid relid;
    std::string leaf, bounds;
};

// Children of the archive that went whole, but for those whose bounds a live partition has.
std::vector<Candidate> candidates(pg::Spi &spi, const Member &live, const ArchiveTable &archive)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run(
        "SELECT DISTINCT ON (a.leaf) i.inhrelid, a.leaf, a.bounds FROM privacy_scan.archive_ledger a"
        " JOIN pg_catalog.pg_inherits i ON i.inhrelid = to_regclass(a.leaf) AND i.inhparent = $3"
        " WHERE a.target = $1 AND a.relation = $2 AND a.action = 'archive' AND a.leaf <> '' AND a.bounds <> "
        "''"
        " AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits p JOIN pg_catalog.pg_class c ON c.oid = "
        "p.inhrelid"
        "  WHERE p.inhparent = $2::oid AND pg_get_expr(c.relpartbound, c.oid) = a.bounds) ORDER BY a.leaf, "
        "a.id DESC",
        {pg::text_param(archive.name), pg::regclass_param(live.table.relid), pg::oid_param(archive.relid)});
    std::vector<Candidate> found;
    for (std::size_t row = 0; row < rows.size(); ++row)
        found.push_back({rows.oid(row, 1), rows.text(row, 2), rows.text(row, 3)});
    return found;
}

// How many of its rows belong to the picked roots.
std::int64_t count_wanted(pg::Spi &spi, const Member &stored, const FamilySql &sql, const Picked &picked,
                          const Candidate &leaf)
{
    Member part = stored;
    part.from = "ONLY " + leaf.leaf;
    return spi.run_generic(sql.count_rows(part), picked.params).int8(0, 1);
}

// Columns that the live relation has lost, or never had, are no part of the rows where they hold nothing.
void drop_empty_columns(pg::Spi &spi, const Member &live, const Candidate &leaf)
{
    pg::Rows others = spi.run(
        "SELECT quote_ident(a.attname) FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1"
        " AND a.attnum > 0 AND NOT a.attisdropped AND NOT EXISTS (SELECT FROM"
        "  pg_catalog.pg_attribute l WHERE l.attrelid = $2 AND l.attname = a.attname AND l.attnum > 0)",
        {pg::oid_param(leaf.relid), pg::oid_param(live.table.relid)});
    for (std::size_t row = 0; row < others.size(); ++row) {
        const std::string column = others.text(row, 1);
        if (spi.run("SELECT FROM ONLY " + leaf.leaf + " WHERE " + column + " IS NOT NULL LIMIT 1").empty())
            spi.run("ALTER TABLE " + leaf.leaf + " DROP COLUMN " + column);
    }
}

void attach(pg::Spi &spi, const Member &live, const ArchiveTable &archive, const Candidate &leaf)
{
    follow_columns(spi, {live.table.relid, live.name}, {leaf.relid, leaf.leaf});
    spi.run("ALTER TABLE " + leaf.leaf + " NO INHERIT " + archive.name);
    drop_empty_columns(spi, live, leaf);
    const std::string schema = pg::schema_name(live.table.relid);
    if (pg::schema_name(leaf.relid) != schema)
        spi.run("ALTER TABLE " + leaf.leaf + " SET SCHEMA " + pg::quote(schema));
    spi.run("ALTER TABLE " + live.name + " ATTACH PARTITION " + pg::qualified_name(leaf.relid) + " " +
            leaf.bounds);
}

// Errors that say that there is no room.
bool is_no_room(const pg::ErrorText &failure)
{
    const std::string kind = failure.sqlstate.substr(0, 2);
    return kind == "42" || kind == "23" || kind == "0A" || failure.sqlstate == "55000";
}

// False where it has to go by the row.
bool try_attach(pg::Spi &spi, const Member &live, const ArchiveTable &archive, const Candidate &leaf)
{
    pg::LockWait wait;
    const auto failure =
        pg::try_with_locks({live.table.relid, leaf.relid}, wait, [&] { attach(spi, live, archive, leaf); });
    if (failure && !is_no_room(*failure))
        pg::raise(*failure);
    return !failure;
}

// A copy that was exported ends with the table: whoever empties the trash next removes it.
void forget_in_archive(pg::Spi &spi, const ArchiveTable &archive, const std::string &leaf)
{
    pg::CatalogScope scope;
    spi.run("WITH gone AS (DELETE FROM privacy_scan.archive_file_ledger WHERE target = $1 AND leaf = $2"
            " RETURNING file, manifest) INSERT INTO privacy_scan.archive_file_trash (file)"
            " SELECT unnest(ARRAY[file, manifest]) FROM gone ON CONFLICT DO NOTHING",
            {pg::text_param(archive.name), pg::text_param(leaf)});
    for (const char *table : {"detached_tables", "archive_checks"})
        spi.run(std::string("DELETE FROM privacy_scan.") + table + " WHERE target = $1 AND leaf = $2",
                {pg::text_param(archive.name), pg::text_param(leaf)});
}

// Each row needs somebody's look, or word, or is asked for by its own key, or the relation takes no partitions.
bool goes_by_rows(pg::Spi &spi, const Member &live)
{
    const Oid relid = live.table.relid;
    return live.has_children || live.links.empty() ||
           pg::guarded([=] { return get_rel_relkind(relid); }) != RELKIND_PARTITIONED_TABLE ||
           !unique::find_checks(spi, relid).empty() || is_published(spi, relid, Change::insert);
}

} // namespace

std::vector<ReturnedLeaf> return_leaves(pg::Spi &spi, const Member &live, const Member &stored,
                                        const ArchiveTable &archive, const FamilySql &sql,
                                        const Picked &picked)
{
    std::vector<ReturnedLeaf> returned;
    if (goes_by_rows(spi, live))
        return returned;
    for (const Candidate &leaf : candidates(spi, live, archive)) {
        // Under its name the archive would still take it for its own.
        if (pg::schema_name(leaf.relid) == pg::schema_name(live.table.relid))
            continue;
        pg::LockWait wait;
        pg::lock_in_tries(pg::require_owner(leaf.relid), ShareRowExclusiveLock,
                          wait); // none takes a row of it meanwhile
        const std::int64_t wanted = count_wanted(spi, stored, sql, picked, leaf);
        if (wanted == 0)
            continue;
        const RowTotal expected = expected_rows(spi, archive.name, leaf.leaf);
        if (expected.rows != wanted)
            continue;
        const RowTotal total = total_of(spi, "ONLY " + leaf.leaf);
        if (!same_rows(total, expected))
            pg::fail(ERRCODE_DATA_CORRUPTED, leaf.leaf + " does not hold what the ledger says", {},
                     "verify_archive() says more.");
        if (!try_attach(spi, live, archive, leaf))
            continue;
        forget_in_archive(spi, archive, leaf.leaf);
        returned.push_back({leaf.relid, leaf.leaf, total});
    }
    return returned;
}

} // namespace privacy_scan::retention
