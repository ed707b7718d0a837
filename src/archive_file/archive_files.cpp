// The SQL functions on archive files, and on archives wherever they lie.
#include "pg/postgres.hpp"

#include "archive_file/archive_export.hpp"
#include "archive_file/drill.hpp"
#include "archive_file/file_check.hpp"
#include "archive_file/file_restore.hpp"
#include "archive_file/file_run.hpp"
#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/failpoint.hpp"
#include "pg/ident.hpp"
#include "pg/memory.hpp"
#include "pg/rowset.hpp"
#include "pg/standby.hpp"
#include "retention/archive_check.hpp"
#include "retention/policy.hpp"

using namespace privacy_scan;
using namespace privacy_scan::archive_file;

// privacy_scan.export_archive(id bigint) returns a row: the file that was made of the table that a row of
// privacy_scan.archives is about, in privacy_scan.archive_directory, its rows, size, digest of the rows,
// SHA-256 of the file. VOLATILE. Errors: 0A000 rows that lie in the archive table itself, 22004, 25001 not
// READ COMMITTED, 25006, 42501, 42704, 42P01, 53100 disk full, 55000 no fit directory, a file is there
// already, or rows that don't survive text, 55P03, 58030, 58P01 the directory is missing, XX001 a table that
// is not as the ledger says.
PS_WRITING_FUNCTION(ps_export_archive)
{
    pg::Arguments args(fcinfo);
    const std::int64_t id = DatumGetInt64(args.required(0, "id"));
    pg::require_read_committed("export_archive()");
    pg::RowSink sink(fcinfo);
    pg::Spi spi;
    Exported exported;
    with_sql_errors([&] { exported = export_entry(spi, require_entry(spi, id)); });
    sink.put({pg::cell(exported.file), pg::cell(exported.total.rows), pg::cell(exported.facts.bytes),
              pg::cell(hex_of(exported.total.digest)), pg::cell(exported.facts.sha256)});
    return Datum(0);
}

// privacy_scan.confirm_archive(id bigint, sha256 text) returns boolean: the archive's file has been copied
// away; with sha256, that of the copy. False where that was known. VOLATILE. Errors: 22004, 22023 another
// SHA-256 than the file's, 25006, 42501, 42704.
PS_WRITING_FUNCTION(ps_confirm_archive)
{
    pg::Arguments args(fcinfo);
    const std::int64_t id = DatumGetInt64(args.required(0, "id"));
    const std::string sha256 = args.text_or_empty(1);
    pg::Spi spi;
    const Entry entry = require_entry(spi, id);
    const ListedFile file = require_file(spi, entry);
    if (!sha256.empty() && sha256 != file.facts.sha256)
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE,
                 "the copy is not equal to archive file \"" + file.name + "\"",
                 "The file has the SHA-256 " + file.facts.sha256 + ".", "Copy it again.");
    const Oid caller = GetUserId();
    pg::CatalogScope scope;
    spi.run("UPDATE privacy_scan.archive_file_ledger SET confirmed_at = coalesce(confirmed_at, "
            "clock_timestamp()),"
            " confirmed_by = coalesce(confirmed_by, pg_get_userbyid($3)::text), recalled_at = NULL"
            " WHERE target = $1 AND leaf = $2",
            {pg::text_param(entry.target), pg::text_param(entry.leaf), pg::oid_param(caller)});
    PS_FAILPOINT("confirm.noted");
    return BoolGetDatum(!file.is_confirmed);
}

// privacy_scan.verify_archive(id bigint) returns rows: the archive that a row of privacy_scan.archives is
// about, or (NULL) each of the caller's. Tables are read and compared with what the ledger adds up to: ok,
// DIFFERENT, MISSING, UNREADABLE (with the error), changing; files are compared with their SHA-256. It is
// noted in privacy_scan.archives and privacy_scan.archive_files. VOLATILE. Errors: 25001, 25006, 42501,
// 42704.
PS_WRITING_FUNCTION(ps_verify_archive)
{
    pg::Arguments args(fcinfo);
    std::optional<std::int64_t> id;
    if (!args.is_null(0))
        id = DatumGetInt64(args.datum(0));
    pg::RowSink sink(fcinfo);
    pg::require_read_committed("verify_archive()");
    pg::Spi spi;
    for (const retention::ArchiveCheck &check : retention::check_archives(spi, id))
        sink.put({pg::cell(check.archive), pg::cell(check.leaf), pg::cell(check.rows),
                  check.found_rows ? pg::cell(*check.found_rows) : pg::null_cell(), pg::cell(check.state),
                  pg::cell(check.detail), pg::null_cell()});
    for (const FileCheck &check : check_files(spi, id))
        sink.put({pg::cell(check.archive), pg::cell(check.leaf), pg::cell(check.rows),
                  check.state == "ok" ? pg::cell(check.rows) : pg::null_cell(), pg::cell(check.state),
                  pg::cell(check.detail), pg::cell(check.file)});
    return Datum(0);
}

// privacy_scan.drill_archive(id bigint) returns a row: the archive that a row of privacy_scan.archives is
// about, brought back into a scratch table and compared with the ledger: ok, DIFFERENT, MISSING, UNREADABLE,
// changing, with the rows that came back and the time in ms. The scratch table is made and dropped in the
// caller's transaction, as the archive's owner. VOLATILE. Errors: 22004, 25001 not READ COMMITTED, 25006,
// 42501, 42704.
PS_WRITING_FUNCTION(ps_drill_archive)
{
    pg::Arguments args(fcinfo);
    const std::int64_t id = DatumGetInt64(args.required(0, "id"));
    pg::RowSink sink(fcinfo);
    pg::require_read_committed("drill_archive()");
    pg::Spi spi;
    const Drill drill = run_drill(spi, id);
    sink.put({pg::cell(drill.entry.target), pg::cell(drill.entry.leaf), pg::cell(drill.place),
              pg::cell(drill.rows), drill.found_rows ? pg::cell(*drill.found_rows) : pg::null_cell(),
              pg::cell(drill.state), pg::cell(drill.detail), pg::cell(drill.ms)});
    return Datum(0);
}

// privacy_scan.restore_file(id bigint, into regclass, condition text) returns bigint: the rows of the file,
// or those that meet a condition over the table's columns, written as a policy's, inserted into a
// table of the caller's; or (NULL) as the archive's table that they were, which then stays until
// confirm_archive(). Nothing stays where they differ from what was exported. VOLATILE. Errors: 22004, 25006,
// 22023 a condition without a table, 42704, and those of file_restore.hpp.
PS_WRITING_FUNCTION(ps_restore_file)
{
    pg::Arguments args(fcinfo);
    const std::int64_t id = DatumGetInt64(args.required(0, "id"));
    pg::Spi spi;
    const Entry entry = require_entry(spi, id);
    const std::string condition = args.text_or_empty(2);
    if (args.is_null(1) && !condition.empty())
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "argument \"condition\" needs argument \"into\"",
                 "As the archive's table a file comes back whole.", "Name a table of yours.");
    std::int64_t rows = 0;
    with_sql_errors([&] {
        rows = args.is_null(1) ? restore_table(spi, entry)
                               : restore_into(spi, entry, args.relation(1, "into"), condition);
    });
    return Int64GetDatum(rows);
}

// CALL privacy_scan.export_archives(root regclass): for a root, or (NULL) each with a policy of the caller's,
// whose policy makes files: tables without a file are exported, tables whose files are proven and, as the
// policy says, confirmed are removed; a transaction and a NOTICE each. What fails does not stop the others;
// the first failure is raised at the end. Errors: those of export_archive(), 2D000 inside a transaction
// block.
PS_WRITING_FUNCTION(ps_export_archives)
{
    pg::Arguments args(fcinfo);
    pg::Spi spi(fcinfo);
    std::vector<Oid> roots;
    if (args.is_null(0))
        roots = retention::roots_with_policy(spi);
    else
        roots = {pg::require_owner(args.relation(0, "root")).relid};
    std::optional<pg::ErrorText> first;
    for (const Oid root : roots) {
        FileRun run(spi, root);
        while (!run.is_done()) {
            pg::MemoryScope memory("step of export_archives");
            run.step(spi);
            spi.commit();
            for (const std::string &line : run.take_news())
                pg::guarded([text = line.c_str()] { ereport(NOTICE, (errmsg_internal("%s", text))); });
        }
        first = first ? first : run.failure();
    }
    if (first)
        pg::raise(*first);
    return Datum(0);
}
