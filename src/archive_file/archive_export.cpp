// See archive_export.hpp.
#include "pg/postgres.hpp"

#include "archive_file/archive_export.hpp"

#include "archive_file/file_trash.hpp"
#include "archive_file/manifest.hpp"
#include "archive_file/read_back.hpp"
#include "archive_file/row_text.hpp"
#include "pg/failpoint.hpp"
#include "pg/ident.hpp"
#include "pg/lock.hpp"
#include "pg/memory.hpp"
#include "pg/relation.hpp"
#include "pg/snapshot.hpp"
#include "retention/archive_total.hpp"
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

pg::OwnedTable require_table(pg::Spi &spi, const Entry &entry)
{
    if (entry.leaf.empty())
        pg::fail(ERRCODE_FEATURE_NOT_SUPPORTED, "cannot export rows that lie in the archive table itself",
                 "They share " + entry.target + " with those of other batches.",
                 "Batches of a policy with archive => 'file' have tables of their own.");
    const Oid relid = relation_named(spi, entry.leaf);
    if (!OidIsValid(relid))
        pg::fail(ERRCODE_UNDEFINED_TABLE, "table " + entry.leaf + " does not exist");
    const pg::OwnedTable table = pg::require_owner(relid);
    if (pg::guarded([=] { return get_rel_relkind(relid); }) != RELKIND_RELATION)
        pg::fail(ERRCODE_WRONG_OBJECT_TYPE, entry.leaf + " is not an ordinary table");
    return table;
}

// One export or removal of an entry at a time; no batch opens or fills its window any more.
void lock_entry(pg::Spi &spi, const Entry &entry)
{
    pg::GucScope waiting;
    waiting.set("lock_timeout", (std::to_string(settings::lock_timeout_ms()) + "ms").c_str());
    pg::CatalogScope scope;
    spi.run("SELECT FROM privacy_scan.archive_ledger WHERE id = $1 FOR UPDATE NOWAIT",
            {pg::int8_param(entry.id)});
    spi.run("UPDATE privacy_scan.archive_windows SET closed_at = clock_timestamp()"
            " WHERE leaf = $1 AND closed_at IS NULL",
            {pg::text_param(entry.leaf)});
}

// Files of the entry that nobody needs: all but the ledger's. The entry is locked.
void remove_leftovers(const Entry &entry, const std::optional<ListedFile> &listed, int directory)
{
    for (const std::string &name : list_names(directory, file_prefix(entry.id)))
        if (!listed || (name != listed->name && name != listed->manifest))
            remove_file(directory, name);
}

// Nothing that is proven is made twice.
void require_no_file(pg::Spi &spi, const Entry &entry, const std::optional<ListedFile> &listed, int directory)
{
    if (!listed)
        return;
    if (listed->is_removed)
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "archive " + std::to_string(entry.id) + " is a file", {}, "restore_file() brings it back.");
    if (is_there(directory, listed->name) &&
        retention::same_rows(listed->total, retention::expected_rows(spi, entry.target, entry.leaf)))
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "archive " + std::to_string(entry.id) + " has a file already", {},
                 "verify_archive() checks it. Move it away to export the archive again.");
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

// By the active snapshot.
retention::RowTotal write_rows(Oid relid, FileWriter &writer)
{
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

void require_same(const Entry &entry, const retention::RowTotal &ledger, const retention::RowTotal &table,
                  const retention::RowTotal &file)
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

void note(pg::Spi &spi, const Entry &entry, const Exported &exported)
{
    pg::CatalogScope scope;
    spi.run("DELETE FROM privacy_scan.archive_file_ledger WHERE target = $1 AND leaf = $2",
            {pg::text_param(entry.target), pg::text_param(entry.leaf)});
    spi.run("INSERT INTO privacy_scan.archive_file_ledger"
            " (id, target, leaf, file, manifest, rows, digest, file_bytes, sha256, encoding, state)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, current_setting('server_encoding'), 'ok')",
            {pg::int8_param(entry.id), pg::text_param(entry.target), pg::text_param(entry.leaf),
             pg::text_param(exported.file), pg::text_param(exported.manifest),
             pg::int8_param(exported.total.rows), pg::text_param(hex_of(exported.total.digest)),
             pg::int8_param(exported.facts.bytes), pg::text_param(exported.facts.sha256)});
}

// A large table is compressed by a thread and read back by a process beside this one; otherwise all is done here.
FileContent write_and_read(Oid relid, int directory, Exported &exported)
{
    const pg::SnapshotScope snapshot;
    const bool in_parts = is_large(relid);
    const std::unique_ptr<SideReader> beside = in_parts ? SideReader::start(relid) : nullptr;
    {
        FileWriter writer(directory, exported.file, settings::archive_level(),
                          in_parts ? Compression::beside : Compression::here,
                          [&](const char *data, std::size_t size) {
                              if (beside)
                                  beside->add(data, size);
                          });
        exported.total = write_rows(relid, writer);
        PS_FAILPOINT("export.written");
        writer.publish();
        PS_FAILPOINT("export.published");
    }
    if (!beside)
        return read_back(relid, directory, exported.file);
    const FileFacts on_disk = facts_of(directory, exported.file); // while the worker comes to its end
    const FileContent content = beside->finish();
    if (on_disk.sha256 != content.facts.sha256)
        pg::fail(ERRCODE_DATA_CORRUPTED, "archive file does not hold what was written to it");
    return content;
}

// As the owner.
void write_file(pg::Spi &spi, const Entry &entry, Oid relid, int directory, Exported &exported)
{
    const FileContent content = write_and_read(relid, directory, exported);
    exported.facts = content.facts;
    require_same(entry, retention::expected_rows(spi, entry.target, entry.leaf), exported.total, content.total);
    PS_FAILPOINT("export.proven");
}

void require_proven(pg::Spi &spi, const Entry &entry, const ListedFile &listed, int directory)
{
    const retention::RowTotal expected = retention::expected_rows(spi, entry.target, entry.leaf);
    if (!retention::same_rows(listed.total, expected))
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "the file of " + entry.leaf + " is out of date",
                 {}, "export_archive() makes a new one.");
    if (!retention::same_rows(retention::total_of(spi, "ONLY " + entry.leaf), expected))
        pg::fail(ERRCODE_DATA_CORRUPTED, entry.leaf + " does not hold what the ledger says", {},
                 "verify_archive() says more.");
    if (facts_of(directory, listed.name).sha256 != listed.facts.sha256)
        pg::fail(ERRCODE_DATA_CORRUPTED, "archive file \"" + listed.name + "\" is DIFFERENT", {},
                 "Move it away to export the archive again; the table is still there.");
}

} // namespace

TextScope::TextScope()
{
    settings_.set("lc_monetary", "C");
    settings_.set("xmlbinary", "base64");
    settings_.set("xmloption", "content");
    settings_.set("array_nulls", "on");
}

Exported export_entry(pg::Spi &spi, const Entry &entry)
{
    const pg::OwnedTable table = require_table(spi, entry);
    const Descriptor directory = open_archive_directory();
    lock_entry(spi, entry);
    pg::LockWait wait;
    pg::lock_in_tries(table, ShareLock, wait);
    const std::optional<ListedFile> listed = find_file(spi, entry);
    require_no_file(spi, entry, listed, directory.get());
    const bool is_kept = listed && is_there(directory.get(), listed->name);
    remove_leftovers(entry, is_kept ? listed : std::nullopt, directory.get());
    const std::string name = new_name(entry.id);
    Exported exported{name + ".csv.zst", name + ".json", {}, {}};
    Unlisted file(directory.get(), exported.file), manifest(directory.get(), exported.manifest);
    {
        pg::OwnerScope owner(table.owner);
        const TextScope text;
        write_file(spi, entry, table.relid, directory.get(), exported);
    }
    write_manifest(spi, table.relid, entry, {exported.manifest, exported.file, exported.facts, exported.total},
                   directory.get());
    PS_FAILPOINT("export.manifest");
    note(spi, entry, exported);
    PS_FAILPOINT("export.noted");
    file.keep();
    manifest.keep();
    return exported;
}

namespace
{

void note_rewritten(pg::Spi &spi, const Entry &entry, const Exported &exported)
{
    pg::CatalogScope scope;
    spi.run("UPDATE privacy_scan.archive_file_ledger SET exported_at = clock_timestamp(), file = $3, "
            "manifest = $4,"
            " rows = $5, digest = $6, file_bytes = $7, sha256 = $8, encoding = "
            "current_setting('server_encoding'),"
            " confirmed_at = NULL, confirmed_by = NULL, state = 'ok', since = clock_timestamp(),"
            " checked_at = clock_timestamp(), detail = NULL WHERE target = $1 AND leaf = $2",
            {pg::text_param(entry.target), pg::text_param(entry.leaf), pg::text_param(exported.file),
             pg::text_param(exported.manifest), pg::int8_param(exported.total.rows),
             pg::text_param(hex_of(exported.total.digest)), pg::int8_param(exported.facts.bytes),
             pg::text_param(exported.facts.sha256)});
}

// The files that the ledger names may have another prefix: of a database that was restored, or upgraded.
std::vector<std::string> names_of(pg::Spi &spi, const Entry &entry, int directory)
{
    std::vector<std::string> names = list_names(directory, file_prefix(entry.id));
    if (const std::optional<ListedFile> listed = find_file(spi, entry))
        for (const std::string &name : {listed->name, listed->manifest})
            if (std::find(names.begin(), names.end(), name) == names.end())
                names.push_back(name);
    return names;
}

void trash_all_but(pg::Spi &spi, const std::vector<std::string> &names, const std::vector<std::string> &kept)
{
    for (const std::string &name : names)
        if (std::find(kept.begin(), kept.end(), name) == kept.end())
            trash_file(spi, name);
}

} // namespace

Exported rewrite_entry(pg::Spi &spi, const Entry &entry)
{
    const pg::OwnedTable table = require_table(spi, entry);
    const Descriptor directory = open_archive_directory();
    lock_entry(spi, entry);
    const std::string name = new_name(entry.id);
    Exported exported{name + ".csv.zst", name + ".json", {}, {}};
    remove_file_with(Ending::abort, exported.file);
    remove_file_with(Ending::abort, exported.manifest);
    {
        pg::OwnerScope owner(table.owner);
        const TextScope text;
        write_file(spi, entry, table.relid, directory.get(), exported);
    }
    write_manifest(spi, table.relid, entry, {exported.manifest, exported.file, exported.facts, exported.total},
                   directory.get());
    const std::vector<std::string> names = names_of(spi, entry, directory.get());
    note_rewritten(spi, entry, exported);
    PS_FAILPOINT("rewrite.noted");
    trash_all_but(spi, names, {exported.file, exported.manifest});
    return exported;
}

void trash_leftovers(pg::Spi &spi, const Entry &entry)
{
    if (*settings::archive_directory() == '\0')
        return;
    const Descriptor directory = open_archive_directory();
    std::vector<std::string> kept;
    if (const std::optional<ListedFile> listed = find_file(spi, entry))
        kept = {listed->name, listed->manifest};
    trash_all_but(spi, names_of(spi, entry, directory.get()), kept);
}

void trash_entry(pg::Spi &spi, const Entry &entry)
{
    const Descriptor directory = open_archive_directory();
    trash_all_but(spi, names_of(spi, entry, directory.get()), {});
    pg::CatalogScope scope;
    spi.run("DELETE FROM privacy_scan.archive_file_ledger WHERE target = $1 AND leaf = $2",
            {pg::text_param(entry.target), pg::text_param(entry.leaf)});
}

void remove_table(pg::Spi &spi, const Entry &entry)
{
    const pg::OwnedTable table = require_table(spi, entry);
    const Descriptor directory = open_archive_directory();
    lock_entry(spi, entry);
    const ListedFile listed = require_file(spi, entry);
    pg::LockWait wait;
    pg::lock_in_tries(table, ShareLock, wait);
    {
        pg::OwnerScope owner(table.owner);
        require_proven(spi, entry, listed, directory.get());
        PS_FAILPOINT("remove.proven");
        const auto failure = pg::try_with_locks({table.relid}, wait, [&] {
            pg::lock_owned(table, AccessExclusiveLock);
            spi.run("DROP TABLE " + pg::qualified_name(table.relid));
        });
        if (failure)
            pg::raise(*failure);
    }
    PS_FAILPOINT("remove.dropped");
    remove_leftovers(entry, listed, directory.get());
    pg::CatalogScope scope;
    spi.run("UPDATE privacy_scan.archive_file_ledger SET removed_at = clock_timestamp()"
            " WHERE target = $1 AND leaf = $2",
            {pg::text_param(entry.target), pg::text_param(entry.leaf)});
    spi.run("DELETE FROM privacy_scan.archive_checks WHERE target = $1 AND leaf = $2",
            {pg::text_param(entry.target), pg::text_param(entry.leaf)});
    PS_FAILPOINT("remove.noted");
}

} // namespace privacy_scan::archive_file
