// See file_restore.hpp.
#include "pg/postgres.hpp"

#include "archive_file/file_restore.hpp"

#include "archive_file/archive_export.hpp"
#include "archive_file/file_check.hpp"
#include "archive_file/row_text.hpp"
#include "archive_file/table_load.hpp"
#include "pg/failpoint.hpp"
#include "pg/ident.hpp"
#include "pg/prepared.hpp"
#include "pg/privileges.hpp"
#include "pg/relation.hpp"
#include "retention/archive_table.hpp"
#include "retention/condition.hpp"

extern "C" {
#include <access/htup_details.h>
#include <funcapi.h>
#include <catalog/pg_class_d.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::archive_file
{

namespace
{

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

// A condition, over the alias t, put to the rows of a file as the table would have them.
class RowFilter
{
  public:
    RowFilter(pg::Spi &spi, const RowParser *parser, const std::string &condition) : parser_(parser)
    {
        if (!condition.empty())
            test_.emplace(spi, "SELECT 1 FROM (SELECT ($1).*) AS t WHERE " + condition,
                          std::vector<Oid>{parser->shape->desc->tdtypeid});
    }

    bool passes()
    {
        if (!test_)
            return true;
        const RowParser *parser = parser_;
        HeapTuple row =
            pg::guarded([=] { return heap_form_tuple(parser->shape->desc, parser->values, parser->nulls); });
        Datum value = pg::guarded([=] { return HeapTupleGetDatum(row); });
        const bool passes = !test_->run(&value, " ").empty();
        pg::guarded([=] { heap_freetuple(row); });
        return passes;
    }

  private:
    const RowParser *parser_;
    std::optional<pg::Prepared> test_;
};

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

// The way of a file's rows into a table.
class Taker
{
  public:
    virtual ~Taker() = default;
    virtual void take() = 0;                   // the row that the parser holds
    virtual retention::RowTotal finish() = 0; // what the table has taken
};

// By INSERT: triggers, partitions and generated columns have their say.
class Inserter final : public Taker
{
  public:
    Inserter(pg::Spi &spi, Oid relid, const RowParser *parser)
        : parser_(parser), insertion_(insertion_of(parser, relid)), insert_(spi, insertion_.sql, insertion_.types),
          values_(insertion_.columns.size() + 1), nulls_(insertion_.columns.size(), ' ')
    {
    }

    void take() override
    {
        for (std::size_t n = 0; n < insertion_.columns.size(); ++n) {
            values_[n] = parser_->values[insertion_.columns[n]];
            nulls_[n] = parser_->nulls[insertion_.columns[n]] ? 'n' : ' ';
        }
        const pg::Rows returned = insert_.run(values_.data(), nulls_.c_str());
        if (!returned.empty())
            pg::guarded([&] { add_returned(&total_, shape_, returned.descriptor(), returned.tuple(0)); });
    }

    retention::RowTotal finish() override { return total_; }

  private:
    const RowParser *parser_;
    const Insertion insertion_;
    pg::Prepared insert_;
    std::vector<Datum> values_;
    std::string nulls_;
    retention::RowShape *shape_ = nullptr;
    retention::RowTotal total_{};
};

// By the page, where an INSERT would do no more.
class Loader final : public Taker
{
  public:
    Loader(Relation table, const RowParser *parser)
        : parser_(parser), load_(pg::guarded([=] { return open_load(table); }))
    {
    }
    void take() override
    {
        pg::guarded([this] { load_row(load_, parser_); });
    }
    retention::RowTotal finish() override
    {
        return pg::guarded([this] { return finish_load(load_); });
    }

  private:
    const RowParser *parser_;
    TableLoad *load_;
};

std::unique_ptr<Taker> make_taker(pg::Spi &spi, Relation table, const RowParser *parser)
{
    if (pg::guarded([=] { return can_load(table, parser); }))
        return std::make_unique<Loader>(table, parser);
    return std::make_unique<Inserter>(spi, RelationGetRelid(table), parser);
}

// What was to be inserted, and what was.
struct Inserted {
    retention::RowTotal wanted{}, total{};
};

Inserted insert_rows(pg::Spi &spi, Oid relid, FileReader &reader, const std::string &condition)
{
    const pg::RelationScope table(relid, NoLock);
    CsvRow row;
    reader.next(row);
    RowParser *parser = pg::guarded([&] { return make_parser(RelationGetDescr(table.get()), &row); });
    const std::unique_ptr<Taker> taker = make_taker(spi, table.get(), parser);
    RowFilter filter(spi, parser, condition);
    Inserted inserted;
    while (reader.next(row)) {
        pg::guarded([&] { parse_row(parser, &row); });
        if (!filter.passes())
            continue;
        if (!condition.empty())
            pg::guarded(
                [&] { retention::add_row(&inserted.wanted, parser->shape, parser->values, parser->nulls); });
        taker->take();
    }
    inserted.total = taker->finish();
    return inserted;
}

// As the owner, who has locked the table. With a condition, the rows that meet it.
std::int64_t fill(pg::Spi &spi, Oid relid, const ListedFile &file, const std::string &condition = {})
{
    const Descriptor directory = open_archive_directory();
    const TextScope text;
    FileReader reader(directory.get(), file.name);
    const Inserted inserted = insert_rows(spi, relid, reader, condition);
    require_same_file(file, reader.facts());
    const retention::RowTotal &total = inserted.total,
                              wanted = condition.empty() ? file.total : inserted.wanted;
    if (!retention::same_rows(total, wanted))
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 pg::qualified_name(relid) + " did not take the rows of the file as they were",
                 std::to_string(wanted.rows) + " rows with digest " + hex_of(wanted.digest) +
                     " are in the file, " + std::to_string(total.rows) + " with digest " +
                     hex_of(total.digest) + " were inserted.",
                 "Look for other types, triggers, and generated columns. Nothing was restored.");
    return total.rows;
}

} // namespace

std::int64_t fill_from_file(pg::Spi &spi, Oid relid, const ListedFile &file)
{
    return fill(spi, relid, file);
}

namespace
{

// Rows in the live relation that still are in the archive would be there twice. Partitions are a part of it.
void refuse_live(pg::Spi &spi, const Entry &entry, Oid relid)
{
    pg::CatalogScope scope;
    if (!spi.run("SELECT FROM privacy_scan.archive_ledger WHERE id = $1 AND coalesce(pg_partition_root(relation)::oid, relation::oid)"
                 " = coalesce(pg_partition_root($2)::oid, $2::oid)",
                 {pg::int8_param(entry.id), pg::regclass_param(relid)})
             .empty())
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "rows of archive " + std::to_string(entry.id) + " would be in " + pg::qualified_name(relid) +
                     " and in the archive at once",
                 {}, "restore_archive(" + std::to_string(entry.id) + ") moves them back; copy into a table of your own.");
}

} // namespace

pg::OwnedTable require_target(pg::Spi &spi, const Entry &entry, Oid relid)
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
    refuse_live(spi, entry, relid);
    return into;
}

std::int64_t restore_compiled(pg::Spi &spi, const Entry &entry, Oid relid, const std::string &condition)
{
    const pg::OwnedTable into = require_target(spi, entry, relid);
    const ListedFile file = require_file(spi, entry);
    require_intact(file);
    require_erased(file);
    pg::lock_owned(into, RowExclusiveLock);
    pg::OwnerScope owner(into.owner);
    return fill(spi, relid, file, condition);
}

std::int64_t restore_into(pg::Spi &spi, const Entry &entry, Oid relid, const std::string &text)
{
    const pg::OwnedTable into = require_target(spi, entry, relid);
    return restore_compiled(spi, entry, relid, text.empty() ? text : retention::compile_condition(into, text));
}

namespace
{

// As the owner.
Oid make_table(pg::Spi &spi, const Entry &entry, Oid archive, const char *kind)
{
    spi.run(std::string("CREATE ") + kind + "TABLE " + entry.leaf + " () INHERITS (" +
            pg::qualified_name(archive) + ")");
    const Oid relid = relation_named(spi, entry.leaf);
    pg::undo_default_privileges(spi, relid);
    retention::carry_row_security(spi, archive, relid);
    return relid;
}

} // namespace

Oid stage_table(pg::Spi &spi, const Entry &entry, const ListedFile &file)
{
    const Oid parent = relation_named(spi, entry.target);
    if (!OidIsValid(parent))
        pg::fail(ERRCODE_UNDEFINED_TABLE, "archive " + entry.target + " does not exist",
                 "File \"" + file.name + "\" is a part of it.",
                 "Make it again, with the columns of the relation.");
    const pg::OwnedTable archive = pg::require_owner(parent);
    require_intact(file);
    pg::OwnerScope owner(archive.owner);
    const Oid relid = make_table(spi, entry, archive.relid, "UNLOGGED ");
    fill(spi, relid, file);
    return relid;
}

std::int64_t restore_table(pg::Spi &spi, const Entry &entry)
{
    const ListedFile file = require_file(spi, entry);
    if (!file.is_removed)
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "the table of archive " + std::to_string(entry.id) + " is there",
                 "It is " + entry.leaf + ".", "Give restore_file() a table of yours to restore into.");
    const pg::OwnedTable archive = pg::require_owner(relation_named(spi, entry.target));
    require_intact(file);
    require_erased(file);
    std::int64_t rows = 0;
    {
        pg::OwnerScope owner(archive.owner);
        rows = fill(spi, make_table(spi, entry, archive.relid, ""), file);
    }
    PS_FAILPOINT("recall.filled");
    pg::CatalogScope scope;
    spi.run("UPDATE privacy_scan.archive_file_ledger SET removed_at = NULL, recalled_at = clock_timestamp(),"
            " confirmed_at = NULL, confirmed_by = NULL WHERE target = $1 AND leaf = $2",
            {pg::text_param(entry.target), pg::text_param(entry.leaf)});
    return rows;
}

} // namespace privacy_scan::archive_file
