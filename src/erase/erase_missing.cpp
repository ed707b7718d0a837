// See erase_missing.hpp.
#include "pg/postgres.hpp"

#include "erase/erase_missing.hpp"

#include "pg/ident.hpp"

namespace privacy_scan::erase
{

namespace
{

std::string hash_of(const std::string &value)
{
    return "encode(sha256(convert_to(" + value + "::text, getdatabaseencoding())), 'hex')";
}

} // namespace

bool is_missing(pg::Spi &spi, const archive_file::Entry &entry)
{
    bool is_there = false;
    archive_file::with_sql_errors([&] {
        const archive_file::Descriptor directory = archive_file::open_archive_directory();
        is_there = archive_file::is_there(directory.get(), archive_file::require_file(spi, entry).name);
    });
    return !is_there;
}

std::optional<archive_file::FileState> lack_of(pg::Spi &spi, const archive_file::Entry &entry)
{
    if (is_missing(spi, entry)) // an error where there is no directory to look into
        return archive_file::FileState{"MISSING", "It isn't in the directory"};
    archive_file::FileState found = archive_file::state_of(archive_file::require_file(spi, entry));
    if (found.state == "ok")
        return std::nullopt;
    return found;
}

void refuse_to_pass(const std::string &file, const archive_file::FileState &lack, const std::string &why,
                    const std::string &hint)
{
    if (lack.state == "MISSING")
        pg::fail(ERRCODE_UNDEFINED_FILE, "archive file \"" + file + "\" is missing", why, hint);
    pg::fail(ERRCODE_DATA_CORRUPTED, "archive file \"" + file + "\" is " + lack.state,
             why + " What was found: " + lack.detail + ".", hint);
}

void refuse_lack(const std::string &file, const archive_file::FileState &lack, const std::string &why)
{
    refuse_to_pass(file, lack, why,
                   "Put a copy that verify_archive() finds ok in its place; or give missing_files => 'skip': the file is "
                   "passed over, and not restored, should it come back whole, before erase() has been called again.");
}

std::string hashes_of(pg::Spi &spi, const std::string &array, const std::vector<pg::Param> &params)
{
    return spi
        .run("SELECT coalesce(array_agg(DISTINCT " + hash_of("x") + "), '{}')::text FROM unnest(" + array +
                 ") AS x WHERE x IS NOT NULL",
             params)
        .text(0, 1);
}

void note_missed(pg::Spi &spi, std::int64_t erasure, const std::vector<Missed> &missed)
{
    pg::CatalogScope scope;
    for (const Missed &file : missed)
        for (const LostKeys &keys : file.keys) {
            if (keys.hashes == "{}")
                continue;
            spi.run("INSERT INTO privacy_scan.erasure_missing (erasure, target, leaf, file, key, hashes)"
                    " VALUES ($1, $2, $3, $4, $5, $6::text[]) ON CONFLICT (erasure, target, leaf, key) DO UPDATE"
                    " SET hashes = erasure_missing.hashes || excluded.hashes", // two foreign keys of one column
                    {pg::int8_param(erasure), pg::text_param(file.entry.target), pg::text_param(file.entry.leaf),
                     pg::text_param(file.file), pg::text_param(keys.column), pg::text_param(keys.hashes)});
        }
}

namespace
{

std::string condition_of(const pg::Rows &rows, std::size_t first, std::size_t end)
{
    std::string any;
    for (std::size_t row = first; row < end; ++row)
        any += (any.empty() ? "" : " OR ") + hash_of("t." + pg::quote(rows.text(row, 3))) + " = ANY (" +
               pg::quote_text(rows.text(row, 4)) + "::text[])";
    return "(" + any + ")";
}

// A row for each file and column.
constexpr const char *open_entries =
    "SELECT min(m.erasure), (SELECT min(a.id) FROM privacy_scan.archive_ledger a WHERE a.target = m.target"
    "  AND a.leaf = m.leaf), m.key, array_agg(DISTINCT h)::text, bool_or(r.is_root)"
    " FROM privacy_scan.erasure_missing m JOIN privacy_scan.erasure_ledger e ON e.id = m.erasure,"
    " unnest(m.hashes) AS h, LATERAL (SELECT bool_or(a.relation = e.root) AS is_root"
    "  FROM privacy_scan.archive_ledger a WHERE a.target = m.target AND a.leaf = m.leaf) AS r"
    " WHERE e.root = $1 AND m.erased_at IS NULL GROUP BY m.target, m.leaf, m.key ORDER BY 2, m.key";

} // namespace

std::vector<Returned> returned_files(pg::Spi &spi, Oid root)
{
    std::optional<pg::Rows> rows;
    {
        pg::CatalogScope scope;
        rows.emplace(spi.run(open_entries, {pg::regclass_param(root)}));
    }
    std::vector<Returned> returned;
    for (std::size_t row = 0, end = 0; row < rows->size(); row = end) {
        for (end = row; end < rows->size() && rows->int8(end, 2) == rows->int8(row, 2);)
            ++end;
        const archive_file::Entry entry = archive_file::require_entry(spi, rows->int8(row, 2));
        if (archive_file::find_file(spi, entry) && !is_missing(spi, entry))
            returned.push_back(
                {root, rows->int8(row, 1), entry, rows->boolean(row, 5), condition_of(*rows, row, end)});
    }
    return returned;
}

void note_returned(pg::Spi &spi, const Returned &returned, const retention::RowTotal &total)
{
    const archive_file::Entry &entry = returned.entry;
    pg::CatalogScope scope;
    spi.run("UPDATE privacy_scan.erasure_missing SET erased_at = clock_timestamp()"
            " WHERE target = $1 AND leaf = $2 AND erased_at IS NULL"
            "  AND erasure IN (SELECT id FROM privacy_scan.erasure_ledger WHERE root = $3)",
            {pg::text_param(entry.target), pg::text_param(entry.leaf), pg::regclass_param(returned.root)});
    if (total.rows > 0)
        spi.run("INSERT INTO privacy_scan.erasure_counts AS c (erasure, relation, place, rows, bytes)"
                " VALUES ($1, $2, 'file', $3, $4) ON CONFLICT (erasure, relation, place)"
                " DO UPDATE SET rows = c.rows + $3, bytes = c.bytes + $4",
                {pg::int8_param(returned.erasure), pg::text_param(entry.relation),
                 pg::int8_param(total.rows), pg::int8_param(total.bytes)});
}

} // namespace privacy_scan::erase
