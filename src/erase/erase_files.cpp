// See erase_files.hpp.
#include "pg/postgres.hpp"

#include "erase/erase_files.hpp"

#include "archive_file/archive_export.hpp"
#include "archive_file/file_check.hpp"
#include "archive_file/file_restore.hpp"
#include "pg/ident.hpp"
#include "pg/subxact.hpp"
#include "retention/archive_total.hpp"

namespace privacy_scan::erase
{

std::vector<archive_file::Entry> file_entries(pg::Spi &spi, const Places &places, std::size_t member,
                                              const retention::KeyRange &range)
{
    std::vector<std::int64_t> ids;
    {
        pg::CatalogScope scope;
        pg::Rows rows =
            spi.run("SELECT min(a.id) FROM privacy_scan.archive_ledger a"
                    " JOIN privacy_scan.archive_file_ledger f ON f.target = a.target AND f.leaf = a.leaf"
                    " WHERE a.relation = $1 AND a.action = 'archive' AND f.removed_at IS NOT NULL"
                    "  AND f.rows > 0 AND (a.root <> $5 OR " + // whose keys say nothing of this one's
                        retention::may_meet(range) + ") GROUP BY a.target, a.leaf ORDER BY 1",
                    {pg::regclass_param(places.family.members[member].table.relid),
                     pg::text_or_null(range.least), pg::text_or_null(range.greatest),
                     pg::text_param(range.key), pg::regclass_param(places.family.root().table.relid)});
        for (std::size_t row = 0; row < rows.size(); ++row)
            ids.push_back(rows.int8(row, 1));
    }
    std::vector<archive_file::Entry> entries;
    for (const std::int64_t id : ids)
        entries.push_back(archive_file::require_entry(spi, id));
    return entries;
}

namespace
{

// Whole numbers, uuids, and text of which only the same bytes are equal.
bool is_equal_as_text(pg::Spi &spi, Oid child, Oid parent, const retention::Link::Column &pair)
{
    pg::CatalogScope scope;
    return spi
        .run("SELECT count(kind) = count(*) AND count(DISTINCT kind) = 1 FROM (SELECT CASE"
             "  WHEN a.atttypid IN (20, 21, 23) THEN 'number' WHEN a.atttypid = 2950 THEN 'uuid'"
             "  WHEN a.atttypid IN (25, 1043) AND c.collisdeterministic THEN 'text' END AS kind"
             " FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation"
             " WHERE (a.attrelid = $1 AND a.attname = $2) OR (a.attrelid = $3 AND a.attname = $4)) AS k",
             {pg::oid_param(child), pg::text_param(pair.child), pg::oid_param(parent),
              pg::text_param(pair.parent)})
        .boolean(0, 1);
}

archive_file::WantedColumn wanted_column(pg::Spi &spi, Oid owner, const std::string &name,
                                         const pg::Param &keys)
{
    pg::OwnerScope scope(owner);
    archive_file::WantedColumn wanted{name, {}};
    pg::Rows rows = spi.run("SELECT DISTINCT x::text FROM unnest($1) AS x WHERE x IS NOT NULL", {keys});
    for (std::size_t row = 0; row < rows.size(); ++row)
        wanted.values.insert(rows.text(row, 1));
    return wanted;
}

} // namespace

bool is_told_by_text(pg::Spi &spi, Oid relid, const std::string &column)
{
    return is_equal_as_text(spi, relid, relid, {column, column, {}});
}

bool has_keys_as_text(pg::Spi &spi, const Places &places, std::size_t member)
{
    const retention::Member &child = places.family.members[member];
    for (const retention::Link &link : child.links)
        if (link.columns.size() > 1 ||
            !is_equal_as_text(spi, child.table.relid, places.family.members[link.parent].table.relid,
                              link.columns.front()))
            return false;
    return true;
}

std::vector<archive_file::WantedColumn> wanted_columns(pg::Spi &spi, const Places &places, std::size_t member,
                                                       const KeyParam &keys)
{
    if (!has_keys_as_text(spi, places, member))
        return {};
    std::vector<archive_file::WantedColumn> wanted;
    const retention::Member &child = places.family.members[member];
    for (const retention::Link &link : child.links) {
        const retention::Link::Column &pair = link.columns.front();
        wanted.push_back(wanted_column(spi, child.table.owner, pair.child, keys(link.parent, pair.parent)));
    }
    return wanted;
}

bool may_hold(pg::Spi &spi, const archive_file::Entry &entry,
              const std::vector<archive_file::WantedColumn> &wanted)
{
    if (wanted.empty())
        return true;
    bool holds = false;
    archive_file::with_sql_errors([&] {
        const archive_file::ListedFile file = archive_file::require_file(spi, entry);
        archive_file::require_encoding(file);
        holds = archive_file::holds_any(file, wanted);
    });
    return holds;
}

bool stage(pg::Spi &spi, const archive_file::Entry &entry, Oid owner,
           const std::function<bool(Oid)> &holds_rows)
{
    bool is_kept = false;
    pg::Subtransaction trial; // rolled back, the table's storage is free at once
    archive_file::with_sql_errors([&] {
        const Oid relid = archive_file::stage_table(spi, entry, archive_file::require_file(spi, entry));
        pg::OwnerScope scope(owner);
        is_kept = holds_rows(relid);
    });
    if (is_kept)
        trial.commit();
    else
        trial.rollback();
    return is_kept;
}

std::string follow_in_file(pg::Spi &spi, const archive_file::Entry &entry)
{
    if (entry.leaf.empty())
        return {};
    archive_file::Exported exported;
    archive_file::with_sql_errors([&] {
        if (archive_file::find_file(spi, entry))
            exported = archive_file::rewrite_entry(spi, entry);
    });
    return exported.file;
}

namespace
{

std::vector<std::int64_t> entries_of(pg::Spi &spi, const Places &places)
{
    std::vector<std::int64_t> ids;
    for (const retention::Member &member : places.family.members) {
        pg::CatalogScope scope;
        pg::Rows rows =
            spi.run("SELECT min(id) FROM privacy_scan.archive_ledger WHERE relation = $1 AND leaf <> ''"
                    " GROUP BY target, leaf ORDER BY 1",
                    {pg::regclass_param(member.table.relid)});
        for (std::size_t row = 0; row < rows.size(); ++row)
            ids.push_back(rows.int8(row, 1));
    }
    return ids;
}

// A table that was dropped at the end of a grace period.
bool is_gone(pg::Spi &spi, const archive_file::Entry &entry)
{
    return !OidIsValid(archive_file::relation_named(spi, entry.leaf)) &&
           retention::expected_rows(spi, entry.target, entry.leaf).rows == 0;
}

bool is_out_of_date(pg::Spi &spi, const archive_file::Entry &entry)
{
    const auto file = archive_file::find_file(spi, entry);
    return file && !file->is_removed &&
           !retention::same_rows(file->total, retention::expected_rows(spi, entry.target, entry.leaf));
}

} // namespace

void refresh_files(pg::Spi &spi, const Places &places)
{
    archive_file::with_sql_errors([&] {
        for (const std::int64_t id : entries_of(spi, places)) {
            const archive_file::Entry entry = archive_file::require_entry(spi, id);
            if (is_out_of_date(spi, entry) && is_gone(spi, entry))
                archive_file::trash_entry(spi, entry);
            else if (is_out_of_date(spi, entry))
                archive_file::rewrite_entry(spi, entry);
            else
                archive_file::trash_leftovers(spi, entry);
        }
    });
}

} // namespace privacy_scan::erase
