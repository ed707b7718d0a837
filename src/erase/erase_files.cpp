// See erase_files.hpp.
#include "pg/postgres.hpp"

#include "erase/erase_files.hpp"

#include "archive_file/archive_export.hpp"
#include "archive_file/file_restore.hpp"
#include "pg/ident.hpp"
#include "pg/subxact.hpp"

namespace privacy_scan::erase
{

std::vector<archive_file::Entry> file_entries(pg::Spi &spi, const Places &places, std::size_t member,
                                              const KeyRange &range)
{
    const std::string meets = range.type.empty()
                                  ? "true OR $2 = $3"
                                  : "a.key_from::" + range.type + " <= $3::" + range.type +
                                        " AND a.key_to::" + range.type + " >= $2::" + range.type;
    std::vector<std::int64_t> ids;
    {
        pg::CatalogScope scope;
        pg::Rows rows =
            spi.run("SELECT min(a.id) FROM privacy_scan.archive_ledger a"
                    " JOIN privacy_scan.archive_file_ledger f ON f.target = a.target AND f.leaf = a.leaf"
                    " WHERE a.relation = $1 AND a.action = 'archive' AND f.removed_at IS NOT NULL"
                    "  AND f.rows > 0 AND (" +
                        meets + ") GROUP BY a.target, a.leaf ORDER BY 1",
                    {pg::regclass_param(places.family.members[member].table.relid),
                     pg::text_or_null(range.least), pg::text_or_null(range.greatest)});
        for (std::size_t row = 0; row < rows.size(); ++row)
            ids.push_back(rows.int8(row, 1));
    }
    std::vector<archive_file::Entry> entries;
    for (const std::int64_t id : ids)
        entries.push_back(archive_file::require_entry(spi, id));
    return entries;
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

std::string follow_in_file(pg::Spi &spi, const archive_file::Entry &entry, Oid owner, bool is_staged)
{
    if (entry.leaf.empty())
        return {};
    archive_file::Exported exported;
    archive_file::with_sql_errors([&] {
        if (archive_file::find_file(spi, entry))
            exported = archive_file::rewrite_entry(spi, entry);
        else
            archive_file::trash_leftovers(spi, entry);
    });
    if (is_staged) {
        pg::OwnerScope scope(owner);
        spi.run("DROP TABLE " + entry.leaf);
    }
    return exported.file;
}

} // namespace privacy_scan::erase
