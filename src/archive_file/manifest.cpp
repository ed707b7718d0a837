// See manifest.hpp.
#include "pg/postgres.hpp"

#include "archive_file/manifest.hpp"

#include "archive_file/file_trash.hpp"
#include "pg/subxact.hpp"

extern "C" {
#include <access/xlog.h>
}

namespace privacy_scan::archive_file
{

namespace
{

// Of the archive $3 and table $4.
#define PS_ENTRIES                                                                                           \
    "(SELECT jsonb_agg(jsonb_build_object('id', id, 'action', action, 'at', archived_at, 'rows',"            \
    " rows, 'digest', digest, 'key_from', key_from, 'key_to', key_to, 'cutoff', cutoff) ORDER BY id) AS "    \
    "list, nullif(max(bounds), '') AS bounds FROM privacy_scan.archive_ledger WHERE target = $3 AND leaf = " \
    "$4)"

// $1 the table; $2 to $9 relation, archive, table, rows, digest, file, size, SHA-256.
constexpr const char *manifest_query =
    "WITH columns AS (SELECT jsonb_agg(jsonb_build_object('name', attname, 'type', format_type(atttypid,"
    " atttypmod), 'not_null', attnotnull) ORDER BY attnum) AS list FROM pg_catalog.pg_attribute"
    " WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped), entries AS " PS_ENTRIES
    " SELECT jsonb_pretty(jsonb_build_object('format', 'privacy_scan archive file, version 1',"
    " 'relation', $2, 'archive', $3, 'table', $4, 'bounds', entries.bounds, 'entries', entries.list,"
    " 'columns', columns.list, 'schema_sha256',"
    " encode(sha256(convert_to(columns.list::text, 'UTF8')), 'hex'), 'rows', $5, 'digest', $6,"
    " 'file', $7, 'file_bytes', $8, 'sha256', $9, 'server_version', current_setting('server_version'),"
    " 'encoding', current_setting('server_encoding')))"
    " FROM columns, entries";

// $1 the manifest as it was; $2 nothing.
constexpr const char *renewal_query = "SELECT jsonb_pretty(jsonb_set($1::jsonb, '{entries}', e.list)) FROM " PS_ENTRIES
                                      " AS e WHERE $2 = ''";

// None where the file is missing.
std::optional<std::string> read_text(int directory, const std::string &name)
{
    if (!is_there(directory, name))
        return std::nullopt;
    const Descriptor file = open_private_file(directory, name);
    std::string text;
    char buffer[8192];
    while (const std::size_t size = read_some(file.get(), buffer, sizeof buffer))
        text.append(buffer, size);
    return text;
}

void publish(int directory, const std::string &name, const std::string &text)
{
    NewFile file(directory, name);
    file.write(text.data(), text.size());
    file.publish();
}

std::string renewed(pg::Spi &spi, const Entry &entry, const std::string &name, const std::string &text)
{
    pg::CatalogScope scope;
    std::string result;
    const auto failure = pg::try_in_subtransaction([&] {
        result = spi.run(renewal_query, {pg::text_param(text), pg::text_param(""), pg::text_param(entry.target),
                                         pg::text_param(entry.leaf)})
                     .text(0, 1);
    });
    if (failure || result.empty())
        pg::fail(ERRCODE_DATA_CORRUPTED, "manifest \"" + name + "\" is damaged",
                 "It names keys that are to be erased.", "Put a copy in its place, or move it away.");
    return result;
}

} // namespace

std::string file_prefix(std::int64_t id)
{
    char text[64];
    snprintf(text, sizeof text, "archive_%016llx_%u_%lld_",
             static_cast<unsigned long long>(GetSystemIdentifier()), MyDatabaseId,
             static_cast<long long>(id));
    return text;
}

std::string new_name(std::int64_t id)
{
    const std::uint64_t token = pg::guarded([] {
        std::uint64_t random;
        if (!pg_strong_random(&random, sizeof random))
            elog(ERROR, "could not make a random number");
        return random;
    });
    char text[17];
    snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(token));
    return file_prefix(id) + text;
}

void write_manifest(pg::Spi &spi, Oid relid, const Entry &entry, const Manifest &manifest, int directory)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run(
        manifest_query, {pg::oid_param(relid), pg::text_param(entry.relation), pg::text_param(entry.target),
                         pg::text_param(entry.leaf), pg::int8_param(manifest.total.rows),
                         pg::text_param(hex_of(manifest.total.digest)), pg::text_param(manifest.file),
                         pg::int8_param(manifest.facts.bytes), pg::text_param(manifest.facts.sha256)});
    publish(directory, manifest.name, rows.text(0, 1) + "\n");
}

bool rewrite_manifest(pg::Spi &spi, const Entry &entry)
{
    const std::optional<ListedFile> listed = find_file(spi, entry);
    if (!listed)
        return false;
    const Descriptor directory = open_archive_directory();
    const std::optional<std::string> text = read_text(directory.get(), listed->manifest);
    if (!text)
        return false;
    const std::string name = new_name(entry.id) + ".json",
                      now = renewed(spi, entry, listed->manifest, *text);
    remove_file_with(Ending::abort, name);
    publish(directory.get(), name, now + "\n");
    {
        pg::CatalogScope scope;
        spi.run("UPDATE privacy_scan.archive_file_ledger SET manifest = $3 WHERE target = $1 AND leaf = $2",
                {pg::text_param(entry.target), pg::text_param(entry.leaf), pg::text_param(name)});
    }
    trash_file(spi, listed->manifest);
    return true;
}

} // namespace privacy_scan::archive_file
