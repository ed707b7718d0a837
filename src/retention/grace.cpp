// See grace.hpp.
#include "pg/postgres.hpp"

#include "retention/grace.hpp"

#include "pg/failpoint.hpp"
#include "pg/ident.hpp"
#include "pg/lock.hpp"
#include "pg/subxact.hpp"
#include "retention/archive_total.hpp"
#include "retention/archive_table.hpp"
#include "retention/archive_window.hpp"

extern "C" {
#include <utils/timestamp.h>
}

namespace privacy_scan::retention
{

namespace
{

DetachedTable table_of(const pg::Rows &rows, std::size_t row)
{
    return {rows.int8(row, 1),    rows.is_null(row, 2) ? InvalidOid : rows.oid(row, 2),
            rows.text(row, 3),    rows.text(row, 4),
            rows.text(row, 5),    rows.int8(row, 6),
            rows.boolean(row, 7), {}};
}

// Rows still there, by the ledger (-1: not counted yet); names as they were when the rows came.
constexpr const char *standing =
    "SELECT a.id, to_regclass(d.leaf)::oid, a.source, d.target, d.leaf, coalesce(a.rows, -1), a.is_root"
    " FROM privacy_scan.detached_tables d JOIN privacy_scan.archive_balances a ON a.target = d.target AND a.leaf = d.leaf"
    " WHERE d.dropped_at IS NULL";

// The tables of the root's own rows that still stand.
std::vector<DetachedTable> tables_of_root(pg::Spi &spi, Oid root)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run(std::string(standing) + " AND d.root = $1 AND a.is_root", {pg::regclass_param(root)});
    std::vector<DetachedTable> tables;
    for (std::size_t row = 0; row < rows.size(); ++row)
        tables.push_back(table_of(rows, row));
    return tables;
}

// Does it meet a root that was archived? What is no longer there is not known: it does.
bool keeps_archived(pg::Spi &spi, const Hold &hold, const std::vector<DetachedTable> &roots)
{
    for (const DetachedTable &table : roots) {
        if (!OidIsValid(table.relid))
            return true;
        pg::OwnerScope owner(pg::require_owner(table.relid).owner);
        if (!spi.run("SELECT FROM " + table.leaf + " AS t WHERE " + hold.condition + " LIMIT 1").empty())
            return true;
    }
    return roots.empty();
}

// The hold that keeps a root which was archived; empty: none does.
std::string hold_on_archived(pg::Spi &spi, Oid root, const std::vector<Hold> &holds)
{
    const std::vector<DetachedTable> roots =
        holds.empty() ? std::vector<DetachedTable>() : tables_of_root(spi, root);
    for (const Hold &hold : holds)
        if (keeps_archived(spi, hold, roots))
            return "hold " + std::to_string(hold.id) + ": " + hold.reason;
    return {};
}

// Those of $1 the root whose grace period $3 has ended at $2.
std::vector<DetachedTable> find_past_grace(pg::Spi &spi, Oid root, const Interval &grace, std::int64_t at)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run(std::string(standing) +
                                " AND d.root = $1 AND (d.detached_at AT TIME ZONE 'UTC' + $3) AT TIME ZONE 'UTC' <= $2"
                                " ORDER BY a.is_root, a.id",
                            {pg::regclass_param(root), pg::timestamptz_param(at),
                             pg::datum_param(INTERVALOID, IntervalPGetDatum(&grace))});
    std::vector<DetachedTable> tables;
    for (std::size_t row = 0; row < rows.size(); ++row)
        tables.push_back(table_of(rows, row));
    return tables;
}

void write_end(pg::Spi &spi, const DetachedTable &table, const RowTotal &total)
{
    pg::CatalogScope scope;
    if (total.rows > 0)
        spi.run("INSERT INTO privacy_scan.archive_ledger (root, relation, root_name, source, target, rows, "
                "bytes,"
                " digest, key_from, key_to, cutoff, leaf, action) SELECT root, relation, root_name, source, "
                "target, $2, $3,"
                " $4, key_from, key_to, cutoff, leaf, 'drop' FROM privacy_scan.archive_ledger WHERE id = $1",
                {pg::int8_param(table.id), pg::int8_param(total.rows), pg::int8_param(total.bytes),
                 pg::text_param(hex_of(total.digest))});
    spi.run("UPDATE privacy_scan.detached_tables SET dropped_at = clock_timestamp()"
            " WHERE target = $1 AND leaf = $2",
            {pg::text_param(table.target), pg::text_param(table.leaf)});
    spi.run("DELETE FROM privacy_scan.archive_checks WHERE target = $1 AND leaf = $2",
            {pg::text_param(table.target), pg::text_param(table.leaf)});
    // A copy that was exported ends with the table: whoever empties the trash next removes it.
    spi.run("WITH gone AS (DELETE FROM privacy_scan.archive_file_ledger WHERE target = $1 AND leaf = $2"
            " RETURNING file, manifest) INSERT INTO privacy_scan.archive_file_trash (file)"
            " SELECT unnest(ARRAY[file, manifest]) FROM gone ON CONFLICT DO NOTHING",
            {pg::text_param(table.target), pg::text_param(table.leaf)});
}

// What nobody knows the end of is left to verify_archive(), which says MISSING.
void forget(pg::Spi &spi, const DetachedTable &table)
{
    pg::CatalogScope scope;
    spi.run("DELETE FROM privacy_scan.detached_tables WHERE target = $1 AND leaf = $2",
            {pg::text_param(table.target), pg::text_param(table.leaf)});
}

RowTotal drop(pg::Spi &spi, const DetachedTable &table)
{
    const pg::OwnedTable owned = pg::require_owner(table.relid);
    pg::LockWait wait;
    pg::lock_in_tries(owned, ShareLock, wait);
    pg::OwnerScope owner(owned.owner);
    const RowTotal found = total_of(spi, "ONLY " + table.leaf);
    if (!same_rows(found, expected_rows(spi, table.target, table.leaf)))
        pg::fail(ERRCODE_DATA_CORRUPTED, table.leaf + " does not hold what the ledger says",
                 "Its grace period has ended; it was not dropped.",
                 "verify_archive() says more. Bring it back to what it was, or drop it yourself.");
    const auto failure = pg::try_with_locks({table.relid}, wait, [&] {
        pg::lock_owned(owned, AccessExclusiveLock);
        spi.run("DROP TABLE " + pg::qualified_name(table.relid));
    });
    if (failure)
        pg::raise(*failure);
    PS_FAILPOINT("grace.dropped");
    return found;
}

} // namespace

std::vector<DetachedTable> tables_past_grace(pg::Spi &spi, const Policy &policy, std::int64_t at)
{
    if (!policy.detaches())
        return {};
    std::vector<DetachedTable> tables =
        find_past_grace(spi, policy.root, *DatumGetIntervalP(*policy.grace), at);
    const std::string held_by =
        tables.empty() ? std::string() : hold_on_archived(spi, policy.root, holds_in_force(spi, policy.root));
    for (DetachedTable &table : tables) {
        table.held_by = held_by;
        if (table.rows < 0)
            table.rows = OidIsValid(table.relid) ? read_archive(spi, table.relid).rows : 0;
    }
    return tables;
}

GraceRun::GraceRun(const Policy &policy, std::int64_t at)
    : policy_(policy), at_(at), is_done_(!policy.detaches())
{
    if (policy.grace)
        grace_ = *DatumGetIntervalP(*policy.grace);
}

void GraceRun::drop_next(pg::Spi &spi, std::vector<std::string> &news)
{
    const DetachedTable table = tables_.back();
    tables_.pop_back();
    if (!OidIsValid(table.relid)) {
        forget(spi, table);
        return;
    }
    std::vector<Hold> holds;
    pg::LockWait wait;
    if (auto failure =
            pg::try_with_locks({hold_table()}, wait, [&] { holds = lock_holds(spi, policy_.root); }))
        pg::raise(*failure);
    const std::string held_by = hold_on_archived(spi, policy_.root, holds);
    if (!held_by.empty()) {
        news.push_back(table.leaf + " stays after its grace period: " + held_by);
        return;
    }
    const RowTotal total = drop(spi, table);
    write_end(spi, table, total);
    PS_FAILPOINT("grace.noted");
    news.push_back(table.leaf + ": dropped after its grace period, " + std::to_string(total.rows) + " rows");
}

void GraceRun::step(pg::Spi &spi, std::vector<std::string> &news)
{
    if (is_begun_ && tables_.empty()) {
        is_done_ = true;
        if (failure_)
            pg::raise(*failure_);
        return;
    }
    auto failure = pg::try_in_subtransaction([&] {
        if (std::exchange(is_begun_, true)) {
            drop_next(spi, news);
            return;
        }
        close_windows(spi, policy_.root);
        tables_ = find_past_grace(spi, policy_.root, grace_, at_);
        std::reverse(tables_.begin(), tables_.end());
        if (only_)
            tables_.erase(std::remove_if(tables_.begin(), tables_.end(),
                                         [&](const DetachedTable &table) { return !only_->count(table.leaf); }),
                          tables_.end());
    });
    if (failure && !failure_)
        failure_ = failure;
    if (failure_ && !tables_.empty() && tables_.back().is_root)
        tables_.clear(); // by its roots a hold would know what else it keeps
    is_done_ = tables_.empty() && !failure_;
}

namespace
{

// Those of a relation that stand alone, whichever root's policy detached them.
std::vector<DetachedTable> standing_alone(pg::Spi &spi, Oid relation)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run(std::string(standing) +
                                " AND EXISTS (SELECT FROM privacy_scan.archive_ledger l"
                                "  WHERE l.target = d.target AND l.leaf = d.leaf AND l.relation = $1)"
                                " AND to_regclass(d.leaf) IS NOT NULL AND NOT EXISTS (SELECT FROM"
                                "  pg_catalog.pg_inherits i WHERE i.inhrelid = to_regclass(d.leaf))"
                                " ORDER BY a.id",
                            {pg::regclass_param(relation)});
    std::vector<DetachedTable> tables;
    for (std::size_t row = 0; row < rows.size(); ++row)
        tables.push_back(table_of(rows, row));
    return tables;
}

Oid archive_of(pg::Spi &spi, const DetachedTable &table)
{
    pg::CatalogScope scope;
    pg::Rows archive = spi.run("SELECT to_regclass($1)::oid", {pg::text_param(table.target)});
    if (archive.is_null(0, 1))
        pg::fail(ERRCODE_UNDEFINED_TABLE, "archive " + table.target + " does not exist",
                 table.leaf + ", which stands alone, is part of it.",
                 "Make an empty one with the columns of that table, or bring it back.");
    return archive.oid(0, 1);
}

} // namespace

// The archive may have got columns since; they are NULL here, which no digest sees.
void join_one(pg::Spi &spi, const DetachedTable &table)
{
    const Oid archive = archive_of(spi, table);
    const pg::OwnedTable owned = pg::require_owner(table.relid);
    pg::lock_owned(owned, AccessExclusiveLock);
    pg::OwnerScope owner(owned.owner);
    follow_columns(spi, {archive, table.target}, {table.relid, table.leaf});
    spi.run("ALTER TABLE " + table.leaf + " INHERIT " + table.target);
}

std::vector<DetachedTable> join_detached(pg::Spi &spi, const Family &family)
{
    std::vector<DetachedTable> joined;
    for (const Member &member : family.members)
        for (const DetachedTable &table : standing_alone(spi, member.table.relid)) {
            join_one(spi, table);
            joined.push_back(table);
        }
    return joined;
}

void part_detached(pg::Spi &spi, const std::vector<DetachedTable> &joined)
{
    for (const DetachedTable &table : joined) {
        pg::OwnerScope owner(pg::require_owner(table.relid).owner);
        spi.run("ALTER TABLE " + table.leaf + " NO INHERIT " + table.target);
    }
}

} // namespace privacy_scan::retention
