// See file_run.hpp.
#include "pg/postgres.hpp"

#include "archive_file/file_run.hpp"

#include "archive_file/archive_export.hpp"
#include "archive_file/file_trash.hpp"
#include "pg/subxact.hpp"
#include "retention/archive_total.hpp"
#include "retention/archive_window.hpp"
#include "retention/policy.hpp"

namespace privacy_scan::archive_file
{

namespace
{

// Tables of the root's archives that are there, but for windows that are open, the latest first.
std::vector<std::int64_t> tables_of(pg::Spi &spi, Oid root)
{
    pg::CatalogScope scope;
    pg::Rows rows =
        spi.run("SELECT min(a.id) FROM privacy_scan.archive_ledger a WHERE a.root = $1 AND a.leaf <> ''"
                " AND NOT EXISTS (SELECT FROM privacy_scan.archive_windows w WHERE w.leaf = a.leaf AND "
                "w.closed_at IS NULL)"
                " AND NOT EXISTS (SELECT FROM privacy_scan.detached_tables d"
                "  WHERE d.target = a.target AND d.leaf = a.leaf AND d.dropped_at IS NOT NULL)"
                " AND NOT EXISTS (SELECT FROM privacy_scan.archive_file_ledger f"
                "  WHERE f.target = a.target AND f.leaf = a.leaf AND f.removed_at IS NOT NULL)"
                " GROUP BY a.target, a.leaf ORDER BY 1 DESC",
                {pg::regclass_param(root)});
    std::vector<std::int64_t> ids;
    for (std::size_t row = 0; row < rows.size(); ++row)
        ids.push_back(rows.int8(row, 1));
    return ids;
}

// False where the ledger has no file of the table's rows as they are now.
bool has_file(pg::Spi &spi, const Entry &entry, const std::optional<ListedFile> &file)
{
    return file && retention::same_rows(file->total, retention::expected_rows(spi, entry.target, entry.leaf));
}

} // namespace

FileRun::FileRun(pg::Spi &spi, Oid root) : root_(root)
{
    const std::optional<retention::Policy> policy = retention::find_policy(spi, root);
    is_done_ = !policy || !policy->makes_files();
    if (!is_done_)
        needs_confirmation_ = policy->remove_after != "exported";
}

void FileRun::find_work(pg::Spi &spi)
{
    empty_trash(spi);
    retention::close_windows(spi, root_);
    for (const std::int64_t id : tables_of(spi, root_)) {
        const Entry entry = require_entry(spi, id);
        const std::optional<ListedFile> file = find_file(spi, entry);
        const bool may_go = needs_confirmation_ ? file && file->is_confirmed : !file || !file->is_recalled;
        if (!has_file(spi, entry, file))
            to_export_.push_back(id);
        else if (may_go)
            to_remove_.push_back(id);
    }
}

void FileRun::export_next(pg::Spi &spi)
{
    const std::int64_t id = to_export_.back();
    to_export_.pop_back();
    const Entry entry = require_entry(spi, id);
    Exported exported;
    with_sql_errors([&] { exported = export_entry(spi, entry); });
    news_.push_back("archive " + std::to_string(id) + ", " + entry.leaf + ": " +
                    std::to_string(exported.total.rows) + " rows in " + exported.file);
    if (!needs_confirmation_)
        to_remove_.insert(to_remove_.begin(), id);
}

void FileRun::remove_next(pg::Spi &spi)
{
    const std::int64_t id = to_remove_.back();
    to_remove_.pop_back();
    const Entry entry = require_entry(spi, id);
    with_sql_errors([&] { remove_table(spi, entry); });
    news_.push_back("archive " + std::to_string(id) + ", " + entry.leaf + ": removed, the file stays");
}

void FileRun::step(pg::Spi &spi)
{
    auto failure = pg::try_in_subtransaction([&] {
        if (!std::exchange(is_begun_, true))
            find_work(spi);
        else if (!to_export_.empty())
            export_next(spi);
        else
            remove_next(spi);
    });
    if (failure && !failure_)
        failure_ = failure;
    is_done_ = to_export_.empty() && to_remove_.empty();
}

} // namespace privacy_scan::archive_file
