// See archive_entry.hpp.
#include "archive_file/archive_entry.hpp"

namespace privacy_scan::archive_file
{

Entry require_entry(pg::Spi &spi, std::int64_t id)
{
    const Oid caller = GetUserId();
    pg::CatalogScope scope;
    pg::Rows rows =
        spi.run("SELECT pg_has_role($2, coalesce(r.relowner, 10::oid), 'USAGE'), a.source, a.target, a.leaf,"
                " (SELECT min(b.id) FROM privacy_scan.archive_ledger b WHERE b.target = a.target AND b.leaf "
                "= a.leaf),"
                " a.root::oid FROM privacy_scan.archive_ledger a"
                " LEFT JOIN pg_catalog.pg_class r ON r.oid = a.relation WHERE a.id = $1"
                " AND a.action <> 'discard'",
                {pg::int8_param(id), pg::oid_param(caller)});
    if (rows.empty())
        pg::fail(ERRCODE_UNDEFINED_OBJECT, "there is no archive " + std::to_string(id), {},
                 "The view privacy_scan.archives shows them.");
    if (!rows.boolean(0, 1))
        pg::fail(ERRCODE_INSUFFICIENT_PRIVILEGE,
                 "must be owner of the relation that " + rows.text(0, 3) + " is the archive of");
    return {rows.int8(0, 5), rows.oid(0, 6), rows.text(0, 2), rows.text(0, 3), rows.text(0, 4)};
}

std::optional<ListedFile> find_file(pg::Spi &spi, const Entry &entry)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run("SELECT file, manifest, encoding, file_bytes, sha256, rows, digest,"
                            " confirmed_at IS NOT NULL, removed_at IS NOT NULL, recalled_at IS NOT NULL,"
                            " coalesce((SELECT min(m.erasure) FROM privacy_scan.erasure_missing m"
                            "  WHERE m.target = f.target AND m.leaf = f.leaf AND m.erased_at IS NULL), 0)"
                            " FROM privacy_scan.archive_file_ledger f WHERE target = $1 AND leaf = $2",
                            {pg::text_param(entry.target), pg::text_param(entry.leaf)});
    if (rows.empty())
        return std::nullopt;
    return ListedFile{rows.text(0, 1),
                      rows.text(0, 2),
                      rows.text(0, 3),
                      {rows.int8(0, 4), rows.text(0, 5)},
                      {rows.int8(0, 6), 0, retention::digest_of(rows.text(0, 7))},
                      rows.boolean(0, 8),
                      rows.boolean(0, 9),
                      rows.boolean(0, 10),
                      rows.int8(0, 11)};
}

ListedFile require_file(pg::Spi &spi, const Entry &entry)
{
    std::optional<ListedFile> file = find_file(spi, entry);
    if (!file)
        pg::fail(ERRCODE_UNDEFINED_OBJECT, "archive " + std::to_string(entry.id) + " has no file", {},
                 "export_archive() makes one; the view privacy_scan.archive_files shows them.");
    return *std::move(file);
}

void require_erased(const ListedFile &file)
{
    if (file.unerased > 0)
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "archive file \"" + file.name + "\" holds rows that were to be erased",
                 "Erasure " + std::to_string(file.unerased) + " passed it over when it was missing or damaged.",
                 "Call erase() for the same root, dry_run => false: whatever it is asked for, it takes these rows, too.");
}

Oid relation_named(pg::Spi &spi, const std::string &name)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run("SELECT to_regclass($1)::oid", {pg::text_param(name)});
    return rows.is_null(0, 1) ? InvalidOid : rows.oid(0, 1);
}

} // namespace privacy_scan::archive_file
