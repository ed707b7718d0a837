// See archive_export.hpp.
#include "archive_file/archive_export.hpp"

#include "archive_file/row_text.hpp"
#include "pg/ident.hpp"
#include "pg/lock.hpp"
#include "pg/memory.hpp"
#include "pg/relation.hpp"
#include "pg/snapshot.hpp"
#include "retention/archive_check.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <access/xlog.h>
#include <catalog/pg_class_d.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::archive_file
{

namespace
{

// The names of the files of one entry begin like this, whatever cluster and database share the directory.
std::string file_prefix(std::int64_t id)
{
    char text[64];
    snprintf(text, sizeof text, "archive_%016llx_%u_%lld_",
             static_cast<unsigned long long>(GetSystemIdentifier()), MyDatabaseId,
             static_cast<long long>(id));
    return text;
}

// Its partition, or InvalidOid where it is gone.
Oid leaf_of(pg::Spi &spi, const LedgerEntry &entry)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run("SELECT to_regclass($1)::oid", {pg::text_param(entry.leaf)});
    return rows.is_null(0, 1) ? InvalidOid : rows.oid(0, 1);
}

pg::OwnedTable require_leaf(pg::Spi &spi, const LedgerEntry &entry)
{
    if (entry.leaf.empty())
        pg::fail(ERRCODE_FEATURE_NOT_SUPPORTED, "cannot export rows that were archived in batches",
                 "They share " + entry.target + " with those of other batches.",
                 "Export the rows of privacy_scan.archives that have a leaf.");
    const Oid relid = leaf_of(spi, entry);
    if (!OidIsValid(relid))
        pg::fail(ERRCODE_UNDEFINED_TABLE, "partition " + entry.leaf + " does not exist");
    const pg::OwnedTable leaf = pg::require_owner(relid);
    if (pg::guarded([=] { return get_rel_relkind(relid); }) != RELKIND_RELATION)
        pg::fail(ERRCODE_WRONG_OBJECT_TYPE, entry.leaf + " is not an ordinary table");
    return leaf;
}

// One export of an entry at a time, which may remove what earlier ones left behind.
void lock_entry(pg::Spi &spi, const LedgerEntry &entry, int directory)
{
    pg::CatalogScope scope;
    spi.run("SELECT FROM privacy_scan.archive_ledger WHERE id = $1 FOR UPDATE NOWAIT",
            {pg::int8_param(entry.id)});
    pg::Rows known = spi.run("SELECT file FROM privacy_scan.archive_file_ledger WHERE id = $1",
                             {pg::int8_param(entry.id)});
    if (!known.empty() && !list_names(directory, known.text(0, 1)).empty())
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "archive " + std::to_string(entry.id) + " has a file already", {},
                 "verify_file() checks it. Move it away to export the archive again.");
    for (const std::string &name : list_names(directory, file_prefix(entry.id)))
        remove_file(directory, name);
}

// A file that goes again unless it is kept.
class Unlisted
{
  public:
    Unlisted(int directory, std::string name) : directory_(directory), name_(std::move(name)) {}
    Unlisted(const Unlisted &) = delete;
    Unlisted &operator=(const Unlisted &) = delete;
    ~Unlisted()
    {
        if (!is_kept_)
            try {
                remove_file(directory_, name_);
            } catch (const FileError &) { // the next export finds it
            }
    }
    void keep() { is_kept_ = true; }

  private:
    int directory_;
    std::string name_;
    bool is_kept_ = false;
};

retention::RowTotal write_rows(Oid relid, FileWriter &writer)
{
    const pg::SnapshotScope snapshot;
    const pg::RelationScope table(relid, NoLock);
    std::string text;
    RowReader *reader = pg::guarded([&] { return open_rows(table.get()); });
    pg::guarded([&] { append_header(reader, &text); });
    do {
        writer.write(text);
        text.clear();
    } while (pg::guarded([&] { return append_rows(reader, &text); }));
    pg::guarded([=] { close_rows(reader); });
    return reader->total;
}

retention::RowTotal read_back(Oid relid, int directory, const std::string &name)
{
    const pg::RelationScope table(relid, NoLock);
    FileReader reader(directory, name);
    CsvRow row;
    reader.next(row);
    RowParser *parser = pg::guarded([&] { return make_parser(RelationGetDescr(table.get()), &row); });
    while (reader.next(row))
        pg::guarded([&] { parse_row(parser, &row); });
    return parser->total;
}

void require_same(const LedgerEntry &entry, const retention::RowTotal &ledger,
                  const retention::RowTotal &table, const retention::RowTotal &file)
{
    if (!retention::same_rows(ledger, table))
        pg::fail(ERRCODE_DATA_CORRUPTED, entry.leaf + " does not hold what the ledger says",
                 std::to_string(table.rows) + " rows with digest " + hex_of(table.digest) + " instead of " +
                     std::to_string(ledger.rows) + " with digest " + hex_of(ledger.digest) + ".",
                 "verify_archive() says more.");
    if (!retention::same_rows(table, file))
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "rows of " + entry.leaf + " do not come back from text as they are",
                 "A type's output and input functions lose something of its values, such as the XML "
                 "declaration of an xml.",
                 "The partition stays as a table; there is no file of it.");
}

// $1 the partition; $2 to $9 the entry, rows, digest, file, size, SHA-256, keys.
constexpr const char *manifest_query =
    "WITH columns AS (SELECT jsonb_agg(jsonb_build_object('name', attname, 'type', format_type(atttypid, "
    "atttypmod), 'not_null', attnotnull) ORDER BY attnum) AS list FROM pg_catalog.pg_attribute"
    " WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped)"
    " SELECT jsonb_pretty(jsonb_build_object('format', 'privacy_scan archive file, version 1',"
    " 'relation', $2::text, 'archive', $3::text, 'partition', $4::text, 'columns', list, 'schema_sha256',"
    " encode(sha256(convert_to(list::text, 'UTF8')), 'hex'), 'rows', $5::bigint, 'digest', $6::text,"
    " 'file', $7::text, 'file_bytes', $8::bigint, 'sha256', $9::text, 'key_from', $10::text, 'key_to',"
    " $11::text, 'server_version', current_setting('server_version'), 'encoding', "
    "current_setting('server_encoding')))"
    " FROM columns";

void write_manifest(pg::Spi &spi, Oid leaf, const LedgerEntry &entry, const Exported &exported, int directory)
{
    pg::Rows rows = spi.run(
        manifest_query, {pg::oid_param(leaf), pg::text_param(entry.relation), pg::text_param(entry.target),
                         pg::text_param(entry.leaf), pg::int8_param(exported.total.rows),
                         pg::text_param(hex_of(exported.total.digest)), pg::text_param(exported.file),
                         pg::int8_param(exported.facts.bytes), pg::text_param(exported.facts.sha256),
                         pg::text_param(entry.key_from), pg::text_param(entry.key_to)});
    const std::string text = rows.text(0, 1) + "\n";
    NewFile file(directory, exported.manifest);
    file.write(text.data(), text.size());
    file.publish();
}

void note(pg::Spi &spi, const LedgerEntry &entry, const Exported &exported)
{
    pg::CatalogScope scope;
    spi.run("DELETE FROM privacy_scan.archive_file_ledger WHERE id = $1", {pg::int8_param(entry.id)});
    spi.run("INSERT INTO privacy_scan.archive_file_ledger"
            " (id, target, leaf, file, manifest, rows, digest, file_bytes, sha256, encoding)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, current_setting('server_encoding'))",
            {pg::int8_param(entry.id), pg::text_param(entry.target), pg::text_param(entry.leaf),
             pg::text_param(exported.file), pg::text_param(exported.manifest),
             pg::int8_param(exported.total.rows), pg::text_param(hex_of(exported.total.digest)),
             pg::int8_param(exported.facts.bytes), pg::text_param(exported.facts.sha256)});
}

} // namespace

LedgerEntry require_entry(pg::Spi &spi, std::int64_t id)
{
    const Oid caller = GetUserId();
    pg::CatalogScope scope;
    pg::Rows rows =
        spi.run("SELECT pg_has_role($2, coalesce(r.relowner, 10::oid), 'USAGE'), a.source, a.target, a.leaf,"
                " a.key_from, a.key_to FROM privacy_scan.archive_ledger a"
                " LEFT JOIN pg_catalog.pg_class r ON r.oid = a.relation WHERE a.id = $1",
                {pg::int8_param(id), pg::oid_param(caller)});
    if (rows.empty())
        pg::fail(ERRCODE_UNDEFINED_OBJECT, "there is no archive " + std::to_string(id), {},
                 "The view privacy_scan.archives shows them.");
    if (!rows.boolean(0, 1))
        pg::fail(ERRCODE_INSUFFICIENT_PRIVILEGE,
                 "must be owner of the relation that " + rows.text(0, 3) + " is the archive of");
    return {id, rows.text(0, 2), rows.text(0, 3), rows.text(0, 4), rows.text(0, 5), rows.text(0, 6)};
}

TextScope::TextScope()
{
    settings_.set("lc_monetary", "C");
    settings_.set("xmlbinary", "base64");
    settings_.set("xmloption", "content");
    settings_.set("array_nulls", "on");
}

Exported export_entry(pg::Spi &spi, const LedgerEntry &entry)
{
    const pg::OwnedTable leaf = require_leaf(spi, entry);
    const Descriptor directory = open_archive_directory();
    lock_entry(spi, entry, directory.get());
    pg::LockWait wait;
    pg::lock_in_tries(leaf, ShareLock, wait);
    const std::int64_t token = pg::guarded([] {
        std::int64_t random;
        if (!pg_strong_random(&random, sizeof random))
            elog(ERROR, "could not make a random number");
        return random;
    });
    char suffix[17];
    snprintf(suffix, sizeof suffix, "%016llx", static_cast<unsigned long long>(token));
    Exported exported;
    exported.file = file_prefix(entry.id) + suffix + ".csv.zst";
    exported.manifest = file_prefix(entry.id) + suffix + ".json";
    Unlisted file(directory.get(), exported.file), manifest(directory.get(), exported.manifest);
    {
        pg::OwnerScope owner(leaf.owner);
        const TextScope text;
        {
            FileWriter writer(directory.get(), exported.file, settings::archive_level());
            exported.total = write_rows(leaf.relid, writer);
            exported.facts = writer.publish();
        }
        const FileFacts on_disk = facts_of(directory.get(), exported.file);
        if (on_disk.sha256 != exported.facts.sha256)
            pg::fail(ERRCODE_DATA_CORRUPTED, "archive file does not hold what was written to it");
        require_same(entry, retention::expected_rows(spi, entry.target, entry.leaf), exported.total,
                     read_back(leaf.relid, directory.get(), exported.file));
        write_manifest(spi, leaf.relid, entry, exported, directory.get());
    }
    note(spi, entry, exported);
    file.keep();
    manifest.keep();
    return exported;
}

} // namespace privacy_scan::archive_file
