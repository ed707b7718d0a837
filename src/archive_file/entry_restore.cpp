// See entry_restore.hpp.
#include "pg/postgres.hpp"

#include "archive_file/entry_restore.hpp"

#include "archive_file/file_restore.hpp"
#include "pg/arguments.hpp"
#include "pg/clock.hpp"
#include "pg/entry.hpp"
#include "pg/ident.hpp"
#include "pg/lock.hpp"
#include "pg/standby.hpp"
#include "retention/grace.hpp"
#include "retention/hold.hpp"
#include "retention/restore.hpp"

extern "C" {
#include <utils/timestamp.h>
}

namespace privacy_scan::archive_file
{

namespace
{

// The row of the ledger itself; the table may have others.
struct Row {
    std::string action, key, from, to;
    Oid relation;
    std::optional<std::int64_t> rows; // none: not counted yet
};

Row read_row(pg::Spi &spi, std::int64_t id)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run("SELECT action, key, key_from, key_to, relation::oid, rows"
                            " FROM privacy_scan.archive_ledger WHERE id = $1",
                            {pg::int8_param(id)});
    const Row row{rows.text(0, 1), rows.text(0, 2), rows.text(0, 3),
                  rows.text(0, 4), rows.oid(0, 5),
                  rows.is_null(0, 6) ? std::optional<std::int64_t>() : rows.int8(0, 6)};
    if (row.action != "archive")
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "archive " + std::to_string(id) + " archived no rows",
                 "Its action is " + row.action + ".", "Give one of those whose action is archive.");
    return row;
}

struct Key {
    std::string name, type; // both as SQL; no name: the ledger doesn't tell
};

// The column of the root that the ledger's range is of.
Key key_of(pg::Spi &spi, Oid root, const std::string &in_words)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run("SELECT quote_ident(a.attname), format_type(a.atttypid, -1)"
                            " FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0"
                            " AND NOT a.attisdropped"
                            " AND '\"' || replace(a.attname::text, '\"', '\"\"') || '\" '"
                            "  || format_type(a.atttypid, NULL) = $2",
                            {pg::oid_param(root), pg::text_param(in_words)});
    return rows.empty() ? Key{} : Key{rows.text(0, 1), rows.text(0, 2)};
}

// Over the alias t of the root.
class Condition
{
  public:
    void add(const std::string &one) { text_ += (text_.empty() ? "" : " AND ") + one; }
    void bound(const Key &key, const char *op, const std::string &value)
    {
        add("t." + key.name + " " + op + " " + pg::quote_text(value) + "::" + key.type);
    }
    const std::string &text() const { return text_; }

  private:
    std::string text_;
};

std::string condition_of(pg::Spi &spi, const Entry &entry, const Row &row, const EntryRequest &request)
{
    const Key key = key_of(spi, entry.root, row.key);
    Condition condition;
    if (request.ids) {
        const retention::RootIds ids = retention::ids_of_roots(spi, pg::require_owner(entry.root), *request.ids);
        condition.add("t." + pg::quote(ids.column) + " = ANY (" + ids.array + ")");
    }
    const bool has_range = !key.name.empty() && !row.from.empty() && !row.to.empty();
    if (!has_range && (!request.ids || request.from || request.to))
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "the range of keys of archive " + std::to_string(request.id) + " is not known",
                 "An erasure has taken it off, or the root has no such column any more.",
                 "Give the ids of the roots, or restore_archive(root, condition).");
    if (has_range) {
        condition.bound(key, ">=", row.from);
        condition.bound(key, "<=", row.to);
    }
    if (request.from)
        condition.bound(key, ">=", *request.from);
    if (request.to)
        condition.bound(key, "<=", *request.to);
    return condition.text();
}

bool is_file(pg::Spi &spi, const Entry &entry)
{
    const std::optional<ListedFile> file = find_file(spi, entry);
    return file && file->is_removed;
}

void refuse_file(const Entry &entry, const EntryRequest &request)
{
    pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "archive " + std::to_string(request.id) + " is a file",
             {}, "Bring it back into its archive first: restore_archive(" + std::to_string(request.id) +
                     ", \"into\" => " + pg::quote_text(entry.target) + ").");
}

// As it went: the policy's grace period has no say any more.
std::int64_t keep_in_archive(pg::Spi &spi, const Entry &entry)
{
    {
        pg::CatalogScope scope;
        pg::Rows rows = spi.run("DELETE FROM privacy_scan.detached_tables WHERE target = $1 AND leaf = $2"
                                " AND dropped_at IS NULL",
                                {pg::text_param(entry.target), pg::text_param(entry.leaf)});
        if (rows.affected() == 0)
            pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                     "the rows of archive " + std::to_string(entry.id) + " are in " + entry.target + " already");
    }
    const pg::OwnedTable table = pg::require_owner(relation_named(spi, entry.leaf));
    pg::OwnerScope owner(table.owner);
    if (spi.run("SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = $1", {pg::oid_param(table.relid)}).empty())
        retention::join_one(spi, {entry.id, table.relid, entry.relation, entry.target, entry.leaf, 0, false, {}});
    return spi.run("SELECT count(*) FROM ONLY " + entry.leaf).int8(0, 1);
}

retention::ActionRow into_archive(pg::Spi &spi, const Entry &entry, const EntryRequest &request)
{
    if (request.narrows())
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "into its archive an archive comes back whole", {},
                 "Leave out roots, key_from and key_to, or name a table of yours.");
    const TimestampTz begun = GetCurrentTimestamp();
    std::int64_t rows = 0;
    if (is_file(spi, entry))
        rows = restore_table(spi, entry);
    else if (entry.leaf.empty())
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "the rows of archive " + std::to_string(request.id) + " are in " + entry.target + " already");
    else
        rows = keep_in_archive(spi, entry);
    return {request.into, "restore", entry.target, rows, 0, {}, {}, "as " + entry.leaf, pg::ms_since(begun)};
}

// Some of a file's rows are found by the columns that they have.
retention::ActionRow copy_of_file(pg::Spi &spi, const Entry &entry, const Row &row, const EntryRequest &request)
{
    if (request.narrows() && row.relation != entry.root)
        refuse_file(entry, request);
    const TimestampTz begun = GetCurrentTimestamp();
    const std::string condition =
        request.narrows() ? condition_of(spi, entry, row, request) : std::string();
    const std::int64_t rows = restore_compiled(spi, entry, request.into, condition);
    return {request.into, "copy", pg::qualified_name(request.into), rows, 0, {}, {}, "from the file of " + entry.leaf,
            pg::ms_since(begun)};
}

retention::ActionRow copy_of_table(pg::Spi &spi, const Entry &entry, const Row &row, const EntryRequest &request)
{
    const pg::OwnedTable into = require_target(spi, entry, request.into);
    if (into.owner != pg::require_owner(entry.root).owner)
        pg::fail(ERRCODE_INSUFFICIENT_PRIVILEGE,
                 pg::qualified_name(request.into) + " has another owner than " + entry.target,
                 "The rows are inserted in the name of the archive's owner.", "Give the table the same owner.");
    if (!entry.leaf.empty() && !request.narrows())
        return retention::copy_table(spi, entry.target, entry.leaf, into);
    return retention::copy_families(spi, entry.root, row.relation, entry.leaf,
                                    condition_of(spi, entry, row, request), into);
}

// Batches that share a window share its table, and its file.
std::int64_t batches_of(pg::Spi &spi, const Entry &entry)
{
    pg::CatalogScope scope;
    return spi
        .run("SELECT count(*) FROM privacy_scan.archive_ledger WHERE target = $1 AND leaf = $2 AND action = 'archive'",
             {pg::text_param(entry.target), pg::text_param(entry.leaf)})
        .int8(0, 1);
}

retention::ActionRow copy(pg::Spi &spi, const Entry &entry, const Row &row, const EntryRequest &request)
{
    retention::ActionRow copied =
        is_file(spi, entry) ? copy_of_file(spi, entry, row, request) : copy_of_table(spi, entry, row, request);
    const std::int64_t batches = entry.leaf.empty() || request.narrows() ? 1 : batches_of(spi, entry);
    if (batches > 1 && row.rows)
        copied.reason += ", of " + std::to_string(batches) + " archives; archive " + std::to_string(request.id) +
                         " took " + std::to_string(*row.rows);
    return copied;
}

std::vector<retention::ActionRow> into_live(pg::Spi &spi, const Entry &entry, const Row &row,
                                            const EntryRequest &request)
{
    if (is_file(spi, entry))
        refuse_file(entry, request);
    std::vector<retention::ActionRow> rows =
        retention::restore_families(spi, entry.root, condition_of(spi, entry, row, request));
    for (retention::ActionRow &action : rows)
        if (action.relid == row.relation && !request.narrows() && row.rows && action.rows != *row.rows)
            action.reason += "; archive " + std::to_string(request.id) + " took " + std::to_string(*row.rows);
    return rows;
}

} // namespace

std::vector<retention::ActionRow> restore_entry(pg::Spi &spi, const EntryRequest &request)
{
    const Entry entry = require_entry(spi, request.id);
    const Row row = read_row(spi, request.id);
    if (!OidIsValid(request.into) || request.into == row.relation)
        return into_live(spi, entry, row, request);
    if (request.into == relation_named(spi, entry.target))
        return {into_archive(spi, entry, request)};
    return {copy(spi, entry, row, request)};
}

} // namespace privacy_scan::archive_file

using namespace privacy_scan;

// privacy_scan.restore_archive(id bigint, into regclass, roots text[], key_from text, key_to text) returns rows: what a row
// of privacy_scan.archives is about comes back. into NULL, or the relation itself: the families of its roots go back into
// the live relations, parents first, as by restore_archive(root, condition); whole partitions without copying
// where there is room. into its archive: a file as the table that it was, a detached partition as a part of
// the archive that stays. into another table of the caller's: copies of its rows. roots, by their ids, and key_from and key_to
// (as in privacy_scan.archives, both included): of these roots alone. VOLATILE. Errors: 22004, 22023, 23505 a row is there
// already, 25001, 25006, 42501, 42703, 42704, 42809, 55000, 55P03, and those of restore_file().
PS_WRITING_FUNCTION(ps_restore_archive_entry)
{
    pg::Arguments args(fcinfo);
    archive_file::EntryRequest request{DatumGetInt64(args.required(0, "id")), InvalidOid, {}, {}, {}};
    if (!args.is_null(1))
        request.into = args.relation(1, "into");
    if (!args.is_null(2))
        request.ids = args.datum(2);
    if (!args.is_null(3))
        request.from = args.text(3, "key_from");
    if (!args.is_null(4))
        request.to = args.text(4, "key_to");
    pg::RowSink sink(fcinfo);
    pg::require_read_committed("restore_archive()");
    pg::Spi spi;
    archive_file::with_sql_errors([&] {
        for (const retention::ActionRow &row : archive_file::restore_entry(spi, request))
            put(sink, row);
    });
    return Datum(0);
}
