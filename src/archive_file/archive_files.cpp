// The SQL functions on archive files: export, verification, restore.
#include "pg/postgres.hpp"

#include "archive_file/archive_export.hpp"
#include "archive_file/row_text.hpp"
#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/ident.hpp"
#include "pg/prepared.hpp"
#include "pg/relation.hpp"
#include "pg/rowset.hpp"
#include "pg/subxact.hpp"

extern "C" {
#include <access/htup_details.h>
#include <catalog/pg_class_d.h>
#include <mb/pg_wchar.h>
#include <utils/lsyscache.h>
}

using namespace privacy_scan;
using namespace privacy_scan::archive_file;

namespace
{

// A row of the ledger of files.
struct ListedFile {
    std::string name, encoding;
    FileFacts facts;
    retention::RowTotal total{};
};

ListedFile require_file(pg::Spi &spi, const LedgerEntry &entry)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run("SELECT file, encoding, file_bytes, sha256, rows, digest"
                            " FROM privacy_scan.archive_file_ledger WHERE id = $1",
                            {pg::int8_param(entry.id)});
    if (rows.empty())
        pg::fail(ERRCODE_UNDEFINED_OBJECT, "archive " + std::to_string(entry.id) + " has no file", {},
                 "export_archive() makes one; the view privacy_scan.archive_files shows them.");
    ListedFile file;
    file.name = rows.text(0, 1);
    file.encoding = rows.text(0, 2);
    file.facts = {rows.int8(0, 3), rows.text(0, 4)};
    file.total = {rows.int8(0, 5), 0, retention::digest_of(rows.text(0, 6))};
    return file;
}

struct FileState {
    std::string state, detail;
};

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

FileState state_of(const ListedFile &file)
{
    const Descriptor directory = open_archive_directory();
    FileFacts found;
    const auto failure = pg::try_in_subtransaction(
        [&] { with_sql_errors([&] { found = facts_of(directory.get(), file.name); }); });
    if (failure)
        return {failure->error.sqlstate == ERRCODE_UNDEFINED_FILE ? "MISSING" : "UNREADABLE",
                failure->message};
    if (found.sha256 == file.facts.sha256)
        return {"ok", {}};
    return {"DIFFERENT", std::to_string(found.bytes) + " bytes with SHA-256 " + found.sha256 +
                             " instead of " + std::to_string(file.facts.bytes) + " with " +
                             file.facts.sha256 + "; " + where_damaged(directory, file)};
}

void require_intact(const ListedFile &file)
{
    const FileState state = state_of(file);
    if (state.state == "MISSING")
        pg::fail(ERRCODE_UNDEFINED_FILE, "archive file \"" + file.name + "\" is missing", state.detail + ".");
    if (state.state != "ok")
        pg::fail(ERRCODE_DATA_CORRUPTED, "archive file \"" + file.name + "\" is " + state.state,
                 state.detail + ".", "Put a copy that verify_file() finds ok in its place.");
    const char *encoding = pg::guarded([] { return GetDatabaseEncodingName(); });
    if (file.encoding != encoding)
        pg::fail(ERRCODE_FEATURE_NOT_SUPPORTED, "the archive file has the encoding " + file.encoding,
                 std::string("The database has ") + encoding + ".");
}

pg::OwnedTable require_target(pg::Spi &spi, Oid relid)
{
    const pg::OwnedTable into = pg::require_owner(relid);
    const char kind = pg::guarded([=] { return get_rel_relkind(relid); });
    if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
        pg::fail(ERRCODE_WRONG_OBJECT_TYPE, "\"" + pg::relation_name(relid) + "\" is not a table");
    const std::string name = pg::qualified_name(relid);
    pg::CatalogScope scope;
    if (!spi.run("SELECT FROM privacy_scan.archive_ledger WHERE target = $1 OR leaf = $1 LIMIT 1",
                 {pg::text_param(name)})
             .empty())
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, name + " is an archive itself", {},
                 "Restore into a table of your own: CREATE TABLE .. (LIKE ..).");
    return into;
}

// INSERT of a row, and what it must return: the file's columns as they stand in the table. Generated columns
// make their values themselves.
struct Insertion {
    std::string sql;
    std::vector<Oid> types;
    std::vector<int> columns; // attribute numbers from 0
};

Insertion insertion_of(const RowParser *parser, Oid relid)
{
    Insertion insertion;
    std::string names, values, returned;
    TupleDesc desc = parser->shape->desc;
    for (int i = 0; i < desc->natts; ++i) {
        if (parser->field_of[i] < 0)
            continue;
        Form_pg_attribute column = TupleDescAttr(desc, i);
        const std::string name = pg::quote(NameStr(column->attname));
        returned += (returned.empty() ? "" : ", ") + name;
        if (column->attgenerated)
            continue;
        insertion.types.push_back(column->atttypid);
        insertion.columns.push_back(i);
        names += (names.empty() ? "" : ", ") + name;
        values += (values.empty() ? "$" : ", $") + std::to_string(insertion.types.size());
    }
    insertion.sql = "INSERT INTO " + pg::qualified_name(relid) + " (" + names +
                    ") OVERRIDING SYSTEM VALUE VALUES (" + values + ") RETURNING " + returned;
    return insertion;
}

// Adds a row that was returned. Red.
void add_returned(retention::RowTotal *total, retention::RowShape *&shape, TupleDesc desc, HeapTuple tuple)
{
    if (!shape)
        shape = retention::make_row_shape(CreateTupleDescCopy(desc));
    Datum values[MaxTupleAttributeNumber];
    bool nulls[MaxTupleAttributeNumber];
    heap_deform_tuple(tuple, desc, values, nulls);
    retention::add_row(total, shape, values, nulls);
}

retention::RowTotal insert_rows(pg::Spi &spi, Oid relid, FileReader &reader)
{
    const pg::RelationScope table(relid, NoLock);
    CsvRow row;
    reader.next(row);
    RowParser *parser = pg::guarded([&] { return make_parser(RelationGetDescr(table.get()), &row); });
    const Insertion insertion = insertion_of(parser, relid);
    pg::Prepared insert(spi, insertion.sql, insertion.types);
    std::vector<Datum> values(insertion.columns.size() + 1);
    std::string nulls(insertion.columns.size(), ' ');
    retention::RowTotal total{};
    retention::RowShape *shape = nullptr;
    while (reader.next(row)) {
        pg::guarded([&] { parse_row(parser, &row); });
        for (std::size_t n = 0; n < insertion.columns.size(); ++n) {
            values[n] = parser->values[insertion.columns[n]];
            nulls[n] = parser->nulls[insertion.columns[n]] ? 'n' : ' ';
        }
        const pg::Rows returned = insert.run(values.data(), nulls.c_str());
        if (!returned.empty())
            pg::guarded([&] { add_returned(&total, shape, returned.descriptor(), returned.tuple(0)); });
    }
    return total;
}

} // namespace

// privacy_scan.export_archive(id bigint) returns a row: the file that was made of the partition, in
// privacy_scan.archive_directory, its rows, size, digest of the rows, SHA-256 of the file. VOLATILE. Errors:
// 0A000 rows that were archived in batches, 22004, 25001 not READ COMMITTED, 25006, 42501, 42704, 42P01,
// 53100 disk full, 55000 no fit directory, a file is there already, or rows that don't survive text, 55P03,
// 58030, XX001 a table that is not as the ledger says.
PS_FUNCTION(ps_export_archive)
{
    pg::Arguments args(fcinfo);
    const std::int64_t id = DatumGetInt64(args.required(0, "id"));
    pg::require_writable("export_archive()");
    pg::require_read_committed("export_archive()");
    pg::RowSink sink(fcinfo);
    pg::Spi spi;
    Exported exported;
    with_sql_errors([&] { exported = export_entry(spi, require_entry(spi, id)); });
    sink.put({pg::cell(exported.file), pg::cell(exported.total.rows), pg::cell(exported.facts.bytes),
              pg::cell(hex_of(exported.total.digest)), pg::cell(exported.facts.sha256)});
    return Datum(0);
}

// privacy_scan.verify_file(id bigint) returns a row: file, state (ok, DIFFERENT from its SHA-256, MISSING,
// UNREADABLE), and what was found. VOLATILE. Errors: 22004, 42501, 42704, 55000 no fit directory.
PS_FUNCTION(ps_verify_file)
{
    pg::Arguments args(fcinfo);
    const std::int64_t id = DatumGetInt64(args.required(0, "id"));
    pg::RowSink sink(fcinfo);
    pg::Spi spi;
    const ListedFile file = require_file(spi, require_entry(spi, id));
    const FileState state = state_of(file);
    sink.put({pg::cell(file.name), pg::cell(state.state), pg::cell(state.detail)});
    return Datum(0);
}

// privacy_scan.restore_file(id bigint, into regclass) returns bigint: the rows of the file, inserted as the
// table's owner; columns are matched by name, the table may have others. The file is compared with its
// SHA-256 before, the rows with their digest after; nothing stays where they differ. VOLATILE. Errors: 0A000
// another encoding, 22004, 25006, 42501, 42703 a column is missing, 42704, 42809, 55000 rows that the table
// did not take as they were, 55P03, 58P01 file missing, XX001 file damaged, and those of the table.
PS_FUNCTION(ps_restore_file)
{
    pg::Arguments args(fcinfo);
    const std::int64_t id = DatumGetInt64(args.required(0, "id"));
    const Oid relid = args.relation(1, "into");
    pg::require_writable("restore_file()");
    pg::Spi spi;
    const LedgerEntry entry = require_entry(spi, id);
    const pg::OwnedTable into = require_target(spi, relid);
    const ListedFile file = require_file(spi, entry);
    require_intact(file);
    const Descriptor directory = open_archive_directory();
    pg::lock_owned(into, RowExclusiveLock);
    retention::RowTotal total{};
    pg::OwnerScope owner(into.owner);
    const TextScope text;
    with_sql_errors([&] {
        FileReader reader(directory.get(), file.name);
        total = insert_rows(spi, relid, reader);
    });
    if (!retention::same_rows(total, file.total))
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 pg::qualified_name(relid) + " did not take the rows of the file as they were",
                 std::to_string(file.total.rows) + " rows with digest " + hex_of(file.total.digest) +
                     " are in the file, " + std::to_string(total.rows) + " with digest " +
                     hex_of(total.digest) + " were inserted.",
                 "Look for other types, triggers, and generated columns. Nothing was restored.");
    return Int64GetDatum(total.rows);
}
