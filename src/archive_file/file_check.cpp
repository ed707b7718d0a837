// See file_check.hpp.
#include "pg/postgres.hpp"

#include "archive_file/file_check.hpp"

#include "archive_file/file_trash.hpp"
#include "pg/subxact.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <mb/pg_wchar.h>
}

namespace privacy_scan::archive_file
{

namespace
{

// How far a damaged file can be read.
std::string where_damaged(const Descriptor &directory, const ListedFile &file)
{
    std::uint64_t rows = 0;
    const auto failure = pg::try_in_subtransaction([&] {
        with_sql_errors([&] {
            FileReader reader(directory.get(), file.name);
            CsvRow row;
            while (reader.next(row)) {
                pg::guarded([] { CHECK_FOR_INTERRUPTS(); });
                rows = reader.rows();
            }
        });
    });
    return failure ? failure->message + ", behind line " + std::to_string(rows)
                   : "it can be read, with " + std::to_string(rows) + " lines";
}

} // namespace

FileState state_of(const ListedFile &file)
{
    FileFacts found;
    std::string where;
    const auto failure = pg::try_in_subtransaction([&] {
        with_sql_errors([&] {
            const Descriptor directory = open_archive_directory();
            found = facts_of(directory.get(), file.name);
            if (found.sha256 != file.facts.sha256)
                where = where_damaged(directory, file);
        });
    });
    if (failure) {
        const bool is_gone =
            failure->error.sqlstate == ERRCODE_UNDEFINED_FILE || *settings::archive_directory() == '\0';
        return {is_gone ? "MISSING" : "UNREADABLE", failure->error.message};
    }
    if (where.empty())
        return {"ok", {}};
    return {"DIFFERENT", std::to_string(found.bytes) + " bytes with SHA-256 " + found.sha256 +
                             " instead of " + std::to_string(file.facts.bytes) + " with " +
                             file.facts.sha256 + "; " + where};
}

namespace
{

std::vector<std::int64_t> entries_with_files(pg::Spi &spi, std::optional<std::int64_t> id)
{
    const Oid caller = GetUserId();
    pg::CatalogScope scope;
    pg::Rows rows =
        spi.run("SELECT f.id FROM privacy_scan.archive_file_ledger f"
                " JOIN privacy_scan.archive_ledger a ON a.target = f.target AND a.leaf = f.leaf"
                " LEFT JOIN pg_catalog.pg_class r ON r.oid = a.relation WHERE ($1 IS NULL OR a.id = $1)"
                " AND pg_has_role($2, coalesce(r.relowner, 10::oid), 'USAGE') GROUP BY f.id ORDER BY f.id",
                {id ? pg::int8_param(*id) : pg::null_param(INT8OID), pg::oid_param(caller)});
    std::vector<std::int64_t> ids;
    for (std::size_t row = 0; row < rows.size(); ++row)
        ids.push_back(rows.int8(row, 1));
    return ids;
}

// What an erasure passed over is told, whatever else is found.
FileState with_erasure(FileState found, const ListedFile &file)
{
    if (file.unerased == 0)
        return found;
    const std::string erasure = "erasure " + std::to_string(file.unerased);
    if (found.state == "ok")
        return {"UNERASED", erasure + " passed it over: call erase() for its root again"};
    return {found.state, found.detail + "; " + erasure + " passed it over"};
}

// False where the file is another by now.
bool note(pg::Spi &spi, const FileCheck &check)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run(
        "UPDATE privacy_scan.archive_file_ledger SET state = $3, detail = $4, checked_at = clock_timestamp(),"
        " since = CASE WHEN state = $3 THEN since ELSE clock_timestamp() END"
        " WHERE target = $1 AND leaf = $2 AND file = $5",
        {pg::text_param(check.archive), pg::text_param(check.leaf), pg::text_param(check.state),
         pg::text_or_null(check.detail), pg::text_param(check.file)});
    return rows.affected() > 0;
}

// Again where an erasure has written it anew meanwhile; none where it has gone.
std::optional<FileCheck> check_file(pg::Spi &spi, const Entry &entry)
{
    while (const std::optional<ListedFile> file = find_file(spi, entry)) {
        const FileState found = with_erasure(state_of(*file), *file);
        const FileCheck check{entry.target,     entry.leaf,  file->name,
                              file->total.rows, found.state, found.detail};
        if (note(spi, check))
            return check;
    }
    return std::nullopt;
}

} // namespace

std::vector<FileCheck> check_files(pg::Spi &spi, std::optional<std::int64_t> id)
{
    std::vector<FileCheck> checks;
    empty_trash(spi);
    for (const std::int64_t entry_id : entries_with_files(spi, id)) {
        if (const std::optional<FileCheck> check = check_file(spi, require_entry(spi, entry_id)))
            checks.push_back(*check);
    }
    return checks;
}

void require_same_file(const ListedFile &file, const FileFacts &read)
{
    if (read.sha256 != file.facts.sha256)
        pg::fail(ERRCODE_DATA_CORRUPTED, "archive file \"" + file.name + "\" was exchanged while it was read");
}

void require_intact(const ListedFile &file)
{
    const FileState state = state_of(file);
    if (state.state == "MISSING")
        pg::fail(ERRCODE_UNDEFINED_FILE, "archive file \"" + file.name + "\" is missing", state.detail + ".");
    if (state.state != "ok")
        pg::fail(ERRCODE_DATA_CORRUPTED, "archive file \"" + file.name + "\" is " + state.state,
                 state.detail + ".", "Put a copy that verify_archive() finds ok in its place.");
    require_encoding(file);
}

void require_encoding(const ListedFile &file)
{
    const char *encoding = pg::guarded([] { return GetDatabaseEncodingName(); });
    if (file.encoding != encoding)
        pg::fail(ERRCODE_FEATURE_NOT_SUPPORTED, "the archive file has the encoding " + file.encoding,
                 std::string("The database has ") + encoding + ".");
}

} // namespace privacy_scan::archive_file
