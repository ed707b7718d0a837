// See restore.hpp.
#include "pg/postgres.hpp"

#include "retention/restore.hpp"

#include "pg/clock.hpp"
#include "pg/failpoint.hpp"
#include "pg/ident.hpp"
#include "pg/lock.hpp"
#include "pg/subxact.hpp"
#include "retention/archive_total.hpp"
#include "retention/grace.hpp"
#include "retention/leaf_return.hpp"
#include "retention/restore_conflict.hpp"
#include "retention/row_shape.hpp"

extern "C" {
#include <catalog/pg_class_d.h>
#include <utils/lsyscache.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::retention
{

namespace
{

// A family in its archives: the same keys lead from relation to relation there.
struct Archived {
    Policy policy;
    Family live, stored;
    std::vector<ArchiveTable> archives;
    std::vector<DetachedTable> joined; // until they are parted again

    Archived(pg::Spi &spi, Oid root) : policy(require_policy(spi, root))
    {
        pg::LockWait wait;
        const auto failure = pg::try_with_locks({root}, wait, [&] {
            live = read_family(spi, root, RowExclusiveLock);
            archives.clear();
            for (const Member &member : live.members)
                archives.push_back(open_archive(spi, member, policy.archive_schema));
            joined = join_detached(spi, live);
        });
        if (failure)
            pg::raise(*failure);
        stored = live;
        for (std::size_t i = 0; i < stored.members.size(); ++i) {
            stored.members[i].from = archives[i].name;
            stored.members[i].leaves.clear();
        }
    }
};

Picked pick(pg::Spi &spi, const FamilySql &sql, const std::string &condition)
{
    Picked picked(spi.run(sql.pick_where(condition)), sql.columns());
    if (picked.count != spi.run(sql.count_where(condition)).int8(0, 1))
        pg::fail(ERRCODE_LOCK_NOT_AVAILABLE, "some of the archived rows are in use by another transaction",
                 {}, "Try again when it has ended.");
    return picked;
}

// The columns that an INSERT may name, and all that a row has.
struct Columns {
    std::string insertable, all;
};

Columns columns_of(pg::Spi &spi, Oid relid)
{
    pg::Rows rows = spi.run("SELECT quote_ident(attname), attgenerated = '' FROM pg_catalog.pg_attribute"
                            " WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                            {pg::oid_param(relid)});
    Columns columns;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        const std::string name = rows.text(row, 1);
        columns.all += (columns.all.empty() ? "" : ", ") + name;
        if (rows.boolean(row, 2))
            columns.insertable += (columns.insertable.empty() ? "" : ", ") + name;
    }
    return columns;
}

// Ids of what a member's archive has as files alone, as a list; with rows picked, of their roots' keys.
std::string archives_in_files(pg::Spi &spi, const Archived &family, const Picked &picked, std::size_t i)
{
    const KeyRange range = picked.count == 0
                               ? KeyRange{}
                               : KeyRange{key_in_words(family.policy), comparable_key(family.policy),
                                          picked.row.text(0, 4), picked.row.text(0, 5)};
    pg::CatalogScope scope;
    return spi
        .run("SELECT string_agg(DISTINCT f.id::text, ', ') FROM privacy_scan.archive_file_ledger f"
             " JOIN privacy_scan.archive_ledger a ON a.target = f.target AND a.leaf = f.leaf"
             " WHERE f.target = $1 AND f.removed_at IS NOT NULL AND f.rows > 0 AND a.action = 'archive'"
             " AND (a.root <> $5 OR " + // whose keys say nothing of this one's
                 may_meet(range) + ")",
             {pg::text_param(family.archives[i].name), pg::text_or_null(range.least),
              pg::text_or_null(range.greatest), pg::text_param(range.key),
              pg::regclass_param(family.policy.root)})
        .text(0, 1);
}

// A family comes back with all of its rows, or not at all. Roots in files are not found: that is told.
void refuse_files(pg::Spi &spi, const Archived &family, const Picked &picked)
{
    constexpr const char *hint = "restore_file(id) brings them back into the archive.";
    for (std::size_t i = 0; i < family.archives.size(); ++i) {
        const std::string ids = archives_in_files(spi, family, picked, i);
        if (ids.empty())
            continue;
        const bool is_root = family.live.members[i].links.empty();
        if (!is_root && picked.count > 0)
            pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "rows of these families may be in files",
                     "Of " + family.archives[i].name + " these archives are files: " + ids + ".", hint);
        const std::string news =
            "rows of " + family.archives[i].name + " that are files are not looked at: archives " + ids;
        if (is_root)
            pg::guarded([&] { ereport(NOTICE, (errmsg_internal("%s", news.c_str()), errhint("%s", hint))); });
    }
}

RowTotal total_of(const pg::Rows &rows, std::size_t row, int column)
{
    return {rows.int8(row, column), rows.int8(row, column + 1), digest_of(rows.text(row, column + 2))};
}

// The failure with all that is in the way, of this member and of those that would have come after it.
[[noreturn]] void report_conflicts(pg::Spi &spi, const Archived &family, const FamilySql &sql, const Picked &picked,
                                   std::size_t first, pg::Error failure)
{
    std::string detail;
    for (std::size_t i = first; i < family.live.members.size(); ++i) {
        const std::string words = conflicts_in_words(spi, family.live.members[i], family.stored.members[i],
                                                     family.archives[i].relid, sql, picked);
        detail += (detail.empty() || words.empty() ? "" : " ") + words;
    }
    if (!detail.empty())
        failure.detail = detail;
    failure.hint = "Nothing was restored. Restore the other roots, or these into a relation of their own.";
    throw failure;
}

RowTotal copy_back(pg::Spi &spi, const Archived &family, const FamilySql &sql, const Picked &picked,
                   std::size_t i)
{
    const Member &live = family.live.members[i];
    const Columns columns = columns_of(spi, live.table.relid);
    pg::Subtransaction subtransaction;
    try {
        const RowTotal total = total_of(
            spi.run_generic(sql.copy_rows(family.stored.members[i], live.name, columns.insertable, columns.all),
                            picked.params),
            0, 1);
        subtransaction.commit();
        return total;
    } catch (const pg::PgError &error) {
        if (error.sqlstate() != ERRCODE_UNIQUE_VIOLATION)
            throw;
        const pg::Error failure = pg::text_of(error).error;
        subtransaction.rollback();
        report_conflicts(spi, family, sql, picked, i, failure);
    }
}

void check_same(const RowTotal &returned, const RowTotal &removed, const Archived &family, std::size_t i)
{
    if (same_rows(returned, removed))
        return;
    pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
             family.live.members[i].name + " did not take the rows of " + family.archives[i].name +
                 " as they were",
             std::to_string(removed.rows) + " rows with digest " + hex_of(removed.digest) +
                 " were archived, " + std::to_string(returned.rows) + " with digest " +
                 hex_of(returned.digest) + " inserted.",
             "Look for columns that were dropped since, for triggers, and for expressions of generated "
             "columns that "
             "have changed. Nothing was restored.");
}

// The name of the partition that went whole, as the ledger has it; empty for rows of the archive itself.
std::string leaf_name(const ArchiveTable &archive, Oid source)
{
    const Oid relid = archive.relid;
    const bool is_plain = pg::guarded([=] { return get_rel_relkind(relid); }) == RELKIND_RELATION;
    return is_plain && source != archive.relid ? pg::qualified_name(source) : std::string();
}

// A ledger row to be.
struct Removed {
    std::size_t member;
    std::string leaf;
    RowTotal total;
};

std::vector<Removed> remove_archived(pg::Spi &spi, const Archived &family, const FamilySql &sql,
                                     const Picked &picked, std::size_t i)
{
    const Columns columns = columns_of(spi, family.archives[i].relid);
    pg::Rows rows = spi.run_generic(sql.remove_rows(family.stored.members[i], columns.all), picked.params);
    std::vector<Removed> removed;
    for (std::size_t row = 0; row < rows.size(); ++row)
        removed.push_back({i, leaf_name(family.archives[i], rows.oid(row, 1)), total_of(rows, row, 2)});
    return removed;
}

void write_ledger(pg::Spi &spi, const Archived &family, const Picked &picked,
                  const std::vector<Removed> &removed)
{
    for (const Removed &part : removed) {
        const Member &member = family.live.members[part.member];
        pg::CatalogScope scope;
        spi.run(
            "INSERT INTO privacy_scan.archive_ledger (root, relation, root_name, source, target, rows, bytes,"
            " digest, key_from, key_to, cutoff, leaf, action)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, clock_timestamp(), $11, 'restore')",
            {pg::regclass_param(family.policy.root), pg::regclass_param(member.table.relid),
             pg::text_param(family.live.root().name), pg::text_param(member.name),
             pg::text_param(family.archives[part.member].name), pg::int8_param(part.total.rows),
             pg::int8_param(part.total.bytes), pg::text_param(hex_of(part.total.digest)),
             pg::text_param(picked.row.text(0, 4)), pg::text_param(picked.row.text(0, 5)),
             pg::text_param(part.leaf)});
    }
}

// Partitions that come back as they are, in the ledger and out of the archive. Returns what is in them.
RowTotal return_whole(pg::Spi &spi, Archived &family, const FamilySql &sql, const Picked &picked, std::size_t i,
                      std::vector<Removed> &removed, std::size_t &leaves)
{
    RowTotal total{};
    for (const ReturnedLeaf &leaf : return_leaves(spi, family.live.members[i], family.stored.members[i],
                                                  family.archives[i], sql, picked)) {
        removed.push_back({i, leaf.leaf, leaf.total});
        total = total + leaf.total;
        ++leaves;
        auto &joined = family.joined;
        joined.erase(std::remove_if(joined.begin(), joined.end(),
                                    [&](const DetachedTable &table) { return table.relid == leaf.relid; }),
                     joined.end());
    }
    return total;
}

std::vector<ActionRow> move_back(pg::Spi &spi, Archived &family, const FamilySql &sql, const Picked &picked,
                                 std::vector<Removed> &removed)
{
    std::vector<RowTotal> returned;
    std::vector<ActionRow> rows;
    for (std::size_t i = 0; i < family.live.members.size(); ++i) {
        const TimestampTz begun = GetCurrentTimestamp();
        std::size_t leaves = 0;
        const RowTotal whole = return_whole(spi, family, sql, picked, i, removed, leaves);
        PS_FAILPOINT("restore.attached");
        returned.push_back(copy_back(spi, family, sql, picked, i));
        PS_FAILPOINT("restore.copied");
        const double ms = pg::ms_since(begun);
        const RowTotal total = returned[i] + whole;
        rows.push_back({family.live.members[i].table.relid, "restore", family.live.members[i].name, total.rows,
                        total.bytes, picked.row.text(0, 4), picked.row.text(0, 5),
                        "from " + family.archives[i].name +
                            (leaves ? ", " + std::to_string(whole.rows) + " of them in " + std::to_string(leaves) +
                                          " partitions as they are"
                                    : std::string()),
                        ms});
    }
    for (std::size_t i = family.live.members.size(); i-- > 0;) {
        RowTotal total{};
        for (const Removed &part : remove_archived(spi, family, sql, picked, i)) {
            total = total + part.total;
            removed.push_back(part);
        }
        check_same(returned[i], total, family, i);
    }
    return rows;
}

} // namespace

std::vector<ActionRow> restore_families(pg::Spi &spi, Oid root, const std::string &condition)
{
    pg::require_read_committed("restore_archive()");
    Archived family(spi, root);
    const FamilySql sql(family.stored, family.policy);
    std::optional<Picked> picked;
    std::vector<ActionRow> rows;
    std::vector<Removed> removed;
    {
        pg::OwnerScope owner(family.live.root().table.owner);
        picked.emplace(pick(spi, sql, condition));
        refuse_files(spi, family, *picked);
        if (picked->count > 0)
            rows = move_back(spi, family, sql, *picked, removed);
    }
    PS_FAILPOINT("restore.removed");
    part_detached(spi, family.joined);
    write_ledger(spi, family, *picked, removed);
    PS_FAILPOINT("restore.noted");
    return rows;
}

namespace
{

// The columns of a source that a table makes no values of itself, and all of them.
Columns columns_for(pg::Spi &spi, Oid source, Oid into)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run(
        "SELECT string_agg(quote_ident(s.attname), ', ' ORDER BY s.attnum) FILTER (WHERE coalesce(i.attgenerated, '') = ''),"
        " string_agg(quote_ident(s.attname), ', ' ORDER BY s.attnum) FROM pg_catalog.pg_attribute s"
        " LEFT JOIN pg_catalog.pg_attribute i ON i.attrelid = $2 AND i.attname = s.attname AND NOT i.attisdropped"
        " WHERE s.attrelid = $1 AND s.attnum > 0 AND NOT s.attisdropped",
        {pg::oid_param(source), pg::oid_param(into)});
    return {rows.text(0, 1), rows.text(0, 2)};
}

ActionRow copied(const pg::OwnedTable &into, const RowTotal &wanted, const RowTotal &taken,
                 const std::string &source, TimestampTz begun)
{
    const std::string name = pg::qualified_name(into.relid);
    if (!same_rows(wanted, taken))
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 name + " did not take the rows of " + source + " as they were",
                 std::to_string(wanted.rows) + " rows with digest " + hex_of(wanted.digest) + " are there, " +
                     std::to_string(taken.rows) + " with digest " + hex_of(taken.digest) + " were inserted.",
                 "Look for other types, triggers, and generated columns. Nothing was restored.");
    return {into.relid, "copy", name, taken.rows, taken.bytes, {}, {}, "from " + source, pg::ms_since(begun)};
}

std::size_t member_of(const Family &family, Oid relation)
{
    for (std::size_t i = 0; i < family.members.size(); ++i)
        if (family.members[i].table.relid == relation)
            return i;
    pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
             pg::qualified_name(relation) + " does not belong to the family of " + family.root().name + " any more");
}

} // namespace

ActionRow copy_families(pg::Spi &spi, Oid root, Oid relation, const std::string &leaf,
                        const std::string &condition, const pg::OwnedTable &into)
{
    pg::require_read_committed("restore_archive()");
    const TimestampTz begun = GetCurrentTimestamp();
    Archived family(spi, root);
    const FamilySql sql(family.stored, family.policy);
    const std::size_t i = member_of(family.live, relation);
    Member member = family.stored.members[i];
    if (!leaf.empty())
        member.from = "ONLY " + leaf;
    const std::string source = leaf.empty() ? family.archives[i].name : leaf;
    pg::lock_owned(into, RowExclusiveLock);
    RowTotal wanted{}, taken{};
    {
        pg::OwnerScope owner(family.live.root().table.owner);
        const Picked picked(pick(spi, sql, condition));
        refuse_files(spi, family, picked);
        const Columns columns = columns_for(spi, family.archives[i].relid, into.relid);
        wanted = total_of(spi.run_generic(sql.digest_rows(member, columns.all), picked.params), 0, 1);
        taken = total_of(spi.run_generic(sql.copy_rows(member, pg::qualified_name(into.relid), columns.insertable,
                                                       columns.all),
                                         picked.params),
                         0, 1);
    }
    part_detached(spi, family.joined);
    return copied(into, wanted, taken, source, begun);
}

ActionRow copy_table(pg::Spi &spi, const std::string &target, const std::string &leaf, const pg::OwnedTable &into)
{
    const TimestampTz begun = GetCurrentTimestamp();
    pg::Rows rows = spi.run("SELECT to_regclass($1)::oid", {pg::text_param(leaf)});
    if (rows.is_null(0, 1))
        pg::fail(ERRCODE_UNDEFINED_TABLE, "table " + leaf + " does not exist");
    const pg::OwnedTable table = pg::require_owner(rows.oid(0, 1));
    pg::lock_owned(table, ShareLock);
    pg::lock_owned(into, RowExclusiveLock);
    const RowTotal expected = expected_rows(spi, target, leaf);
    pg::OwnerScope owner(table.owner);
    const RowTotal wanted = total_of(spi, "ONLY " + leaf);
    if (!same_rows(wanted, expected))
        pg::fail(ERRCODE_DATA_CORRUPTED, leaf + " does not hold what the ledger says", {},
                 "verify_archive() says more.");
    const Columns columns = columns_for(spi, table.relid, into.relid);
    const pg::Rows taken =
        spi.run("WITH back AS (INSERT INTO " + pg::qualified_name(into.relid) + " (" + columns.insertable +
                ") OVERRIDING SYSTEM VALUE SELECT " + columns.insertable + " FROM ONLY " + leaf + " RETURNING " +
                columns.all + ") SELECT (privacy_scan.row_digest(back.*)).* FROM back");
    return copied(into, wanted, total_of(taken, 0, 1), leaf, begun);
}

} // namespace privacy_scan::retention
