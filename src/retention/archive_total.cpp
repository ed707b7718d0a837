// See archive_total.hpp.
#include "pg/postgres.hpp"

#include "retention/archive_total.hpp"

#include "pg/ident.hpp"
#include "pg/owner.hpp"
#include "pg/relation.hpp"
#include "pg/snapshot.hpp"

extern "C" {
#include <catalog/pg_class_d.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::retention
{

LedgerTotal read_ledger(pg::Spi &spi, const std::string &target, const std::string &leaf)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run_kept("SELECT id, rows, bytes, digest, action <> 'archive' FROM privacy_scan.archive_ledger"
                                 " WHERE target = $1 AND leaf = $2 ORDER BY id",
                                 {pg::text_param(target), pg::text_param(leaf)});
    LedgerTotal ledger;
    ledger.entries = static_cast<std::int64_t>(rows.size());
    for (std::size_t row = 0; row < rows.size(); ++row) {
        const bool is_unproven = rows.is_null(row, 2), is_taken = rows.boolean(row, 5);
        if (!is_taken) {
            ledger.is_lost = ledger.is_lost || ledger.unproven;
            ledger.unproven = is_unproven ? std::optional<std::int64_t>(rows.int8(row, 1)) : std::nullopt;
            ledger.after = {};
        }
        if (is_unproven)
            continue;
        const RowTotal entry{rows.int8(row, 2), rows.int8(row, 3), digest_of(rows.text(row, 4))};
        ledger.total = is_taken ? ledger.total - entry : ledger.total + entry;
        if (is_taken)
            ledger.after = ledger.after - entry;
    }
    return ledger;
}

RowTotal total_of(pg::Spi &spi, const std::string &from)
{
    pg::Rows rows = spi.run("SELECT (d).rows, (d).bytes, (d).digest FROM"
                            " (SELECT privacy_scan.row_digest(t.*) AS d FROM " +
                            from + " AS t) AS r");
    return {rows.int8(0, 1), rows.int8(0, 2), digest_of(rows.text(0, 3))};
}

Oid archive_relation(pg::Spi &spi, const std::string &target, const std::string &leaf)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run_kept("SELECT to_regclass($1)::oid", {pg::text_param(leaf.empty() ? target : leaf)});
    return rows.is_null(0, 1) ? InvalidOid : rows.oid(0, 1);
}

RowTotal read_table(Oid relid, const ScanFor &what)
{
    const pg::SnapshotScope snapshot;
    const pg::RelationScope relation(relid, NoLock);
    return pg::guarded([&] { return scan_leaf(relation.get(), what); });
}

RowTotal read_archive(pg::Spi &spi, Oid relid)
{
    const pg::OwnedTable table = pg::require_owner(relid);
    pg::lock_owned(table, AccessShareLock);
    if (pg::guarded([=] { return get_rel_relkind(relid); }) == RELKIND_RELATION)
        return read_table(relid, whole_rows);
    pg::OwnerScope owner(table.owner);
    return total_of(spi, pg::qualified_name(relid));
}

bool prove(pg::Spi &spi, const std::string &target, const std::string &leaf, const LedgerTotal &before, const RowTotal &found)
{
    const RowTotal entry = found - before.after;
    pg::CatalogScope scope;
    return !spi.run("UPDATE privacy_scan.archive_ledger SET rows = $2, bytes = $3, digest = $4"
                    " WHERE id = $1 AND rows IS NULL AND $7 ="
                    " (SELECT count(*) FROM privacy_scan.archive_ledger WHERE target = $5 AND leaf = $6) RETURNING id",
                    {pg::int8_param(*before.unproven), pg::int8_param(entry.rows), pg::int8_param(entry.bytes),
                     pg::text_param(hex_of(entry.digest)), pg::text_param(target), pg::text_param(leaf),
                     pg::int8_param(before.entries)})
                .empty();
}

namespace
{

constexpr int most_attempts = 3;

void prove_now(pg::Spi &spi, const std::string &target, const std::string &leaf)
{
    for (int attempt = 1; attempt <= most_attempts; ++attempt) {
        const LedgerTotal before = read_ledger(spi, target, leaf);
        if (!before.unproven)
            return;
        const Oid relid = archive_relation(spi, target, leaf);
        if (!OidIsValid(relid))
            pg::fail(ERRCODE_UNDEFINED_TABLE, "table " + leaf + " does not exist",
                     "It went whole into the archive, and was not counted yet.");
        prove(spi, target, leaf, before, read_archive(spi, relid));
    }
    pg::fail(ERRCODE_LOCK_NOT_AVAILABLE, leaf + " could not be counted: it is being changed");
}

} // namespace

RowTotal expected_rows(pg::Spi &spi, const std::string &target, const std::string &leaf)
{
    LedgerTotal ledger = read_ledger(spi, target, leaf);
    if (ledger.unproven) {
        prove_now(spi, target, leaf);
        ledger = read_ledger(spi, target, leaf);
    }
    if (ledger.is_lost)
        pg::fail(ERRCODE_DATA_CORRUPTED, "nobody knows what " + leaf + " should hold",
                 "Another table of this name was lost before its rows were counted.");
    return ledger.total;
}

} // namespace privacy_scan::retention
