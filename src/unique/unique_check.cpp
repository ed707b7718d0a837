// See unique_check.hpp.
#include "pg/postgres.hpp"

#include "unique/unique_check.hpp"

#include "pg/ident.hpp"

#include <algorithm>

extern "C" {
#include <access/attnum.h>
#include <catalog/pg_trigger.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::unique
{

namespace
{

std::string list_of(const std::vector<std::string> &columns, const std::string &separator)
{
    std::string list;
    for (const std::string &column : columns)
        list += (list.empty() ? "" : separator) + pg::quote(column);
    return list;
}

std::string name_for(const std::vector<std::string> &columns)
{
    std::string name = "privacy_scan_unique";
    for (const std::string &column : columns)
        name += "_" + column;
    return pg::name_with_suffix(name, "");
}

void require_columns(pg::Spi &spi, Oid relid, const std::vector<std::string> &columns)
{
    for (const std::string &column : columns) {
        const char *name = column.c_str();
        if (pg::guarded([=] { return get_attnum(relid, name); }) <= 0)
            pg::fail(ERRCODE_UNDEFINED_COLUMN, "column \"" + column + "\" of relation \"" +
                                                   pg::relation_name(relid) + "\" does not exist");
        if (std::count(columns.begin(), columns.end(), column) > 1)
            pg::fail(ERRCODE_DUPLICATE_COLUMN, "column \"" + column + "\" is named twice");
    }
    const pg::Rows keys = spi.run(
        "SELECT a.attname::text FROM pg_catalog.pg_partitioned_table p, pg_catalog.pg_attribute a"
        " WHERE p.partrelid = $1 AND a.attrelid = $1 AND a.attnum = ANY (p.partattrs::pg_catalog.int2[])",
        {pg::oid_param(relid)});
    for (std::size_t row = 0; row < keys.size(); ++row)
        if (std::find(columns.begin(), columns.end(), keys.text(row, 1)) == columns.end())
            return;
    pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "the columns contain the partition key",
             "Equal values are in one partition, so that a unique index keeps them unique.",
             "Create a unique index on the partitioned table.");
}

// ALWAYS: also for whom session_replication_role silences others. An index would not be silenced either.
void create_trigger(pg::Spi &spi, Oid relid, const std::string &name, const std::string &events,
                    const std::string &argument)
{
    const std::string table = pg::qualified_name(relid);
    spi.run("CREATE TRIGGER " + pg::quote(name) + " AFTER " + events + " ON " + table +
            " FOR EACH ROW EXECUTE FUNCTION privacy_scan.check_unique(" + argument + ")");
    spi.run("ALTER TABLE " + table + " ENABLE ALWAYS TRIGGER " + pg::quote(name));
}

bool has_before_update(pg::Spi &spi, Oid relid)
{
    constexpr std::int32_t row_before_update = TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_UPDATE;
    return !spi.run("SELECT FROM pg_catalog.pg_trigger WHERE (tgrelid = $1 OR tgrelid IN (SELECT relid"
                    " FROM pg_catalog.pg_partition_tree($1))) AND tgtype & $2 = $2",
                    {pg::regclass_param(relid), pg::int4_param(row_before_update)})
                .empty();
}

// The one for any UPDATE, which names the first as its argument; empty: there is none.
std::string second_trigger(pg::Spi &spi, Oid relid, const std::string &name)
{
    const pg::Rows rows =
        spi.run("SELECT tgname::text FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND tgparentid = 0"
                " AND tgfoid = 'privacy_scan.check_unique()'::pg_catalog.regprocedure"
                " AND tgargs = convert_to($2, getdatabaseencoding()) || '\\x00'::bytea",
                {pg::oid_param(relid), pg::text_param(name)});
    return rows.empty() ? "" : rows.text(0, 1);
}

// What the view says of a check that has just been made.
void require_no_gap(pg::Spi &spi, Oid relid, const std::string &name)
{
    const pg::Rows rows = spi.run("SELECT gaps[1], cardinality(gaps)::int8 FROM privacy_scan.unique_checks"
                                  " WHERE relation = $1 AND name = $2::name AND gaps <> '{}'",
                                  {pg::regclass_param(relid), pg::text_param(name)});
    if (rows.empty())
        return;
    pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
             "relation \"" + pg::relation_name(relid) + "\" has no index for a unique check",
             "It is missing on " + rows.text(0, 1) +
                 (rows.int8(0, 2) > 1 ? " and " + std::to_string(rows.int8(0, 2) - 1) + " others" : "") +
                 "; foreign tables have none.",
             "Create a btree index that begins with the columns on the partitioned table.");
}

} // namespace

std::vector<Check> find_checks(pg::Spi &spi, Oid relid)
{
    const pg::Rows rows = spi.run("SELECT t.tgname::text, a.attname::text FROM pg_catalog.pg_trigger t,"
                                  " unnest(t.tgattr::pg_catalog.int2[]) WITH ORDINALITY AS k (number, place)"
                                  " JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attnum = k.number"
                                  " WHERE t.tgrelid = $1 AND t.tgparentid = 0"
                                  " AND t.tgfoid = 'privacy_scan.check_unique()'::pg_catalog.regprocedure"
                                  " ORDER BY t.tgname, k.place",
                                  {pg::oid_param(relid)});
    std::vector<Check> checks;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        if (checks.empty() || checks.back().name != rows.text(row, 1))
            checks.push_back({rows.text(row, 1), {}});
        checks.back().columns.push_back(rows.text(row, 2));
    }
    return checks;
}

std::vector<std::string> columns_of_id(pg::Spi &spi, Oid relid)
{
    const pg::Rows rows = spi.run("SELECT a.attname::text FROM pg_catalog.pg_constraint c"
                                  " JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = c.conrelid,"
                                  " unnest(c.conkey) WITH ORDINALITY AS k (number, place)"
                                  " JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attnum = k.number"
                                  " WHERE c.conrelid = $1 AND c.contype = 'p'"
                                  " AND k.number <> ALL (p.partattrs::pg_catalog.int2[]) ORDER BY k.place",
                                  {pg::oid_param(relid)});
    std::vector<std::string> columns;
    for (std::size_t row = 0; row < rows.size(); ++row)
        columns.push_back(rows.text(row, 1));
    if (columns.empty())
        pg::fail(ERRCODE_UNDEFINED_OBJECT,
                 "relation \"" + pg::relation_name(relid) + "\" has no primary key beyond its partition key",
                 {}, "Name the columns that are to be unique.");
    return columns;
}

void create_check(pg::Spi &spi, Oid relid, const std::vector<std::string> &columns, Oid model)
{
    require_columns(spi, relid, columns);
    const std::string name = name_for(columns);
    create_trigger(spi, relid, name, "INSERT OR UPDATE OF " + list_of(columns, ", "), "");
    complete_check(spi, relid, {name, columns}, model);
    require_no_gap(spi, relid, name);
}

void complete_check(pg::Spi &spi, Oid relid, const Check &check, Oid model)
{
    if (has_before_update(spi, model) && second_trigger(spi, relid, check.name).empty())
        create_trigger(spi, relid, pg::name_with_suffix(check.name, "_any"), "UPDATE",
                       pg::quote_text(check.name));
}

void drop_check(pg::Spi &spi, Oid relid, const Check &check)
{
    const std::string table = pg::qualified_name(relid), second = second_trigger(spi, relid, check.name);
    spi.run("DROP TRIGGER " + pg::quote(check.name) + " ON " + table);
    if (!second.empty())
        spi.run("DROP TRIGGER " + pg::quote(second) + " ON " + table);
}

std::string duplicates_query(Oid relid, const std::vector<std::string> &columns)
{
    std::string pairs, known;
    for (const std::string &column : columns) {
        pairs += (pairs.empty() ? "" : ", ") + pg::quote_text(column) + ", " + pg::quote(column);
        known += (known.empty() ? "" : " AND ") + pg::quote(column) + " IS NOT NULL";
    }
    const std::string list = list_of(columns, ", ");
    return "SELECT jsonb_build_object(" + pairs +
           "), count(*),"
           " string_agg(DISTINCT tableoid::pg_catalog.regclass::text, ', ') FROM " +
           pg::qualified_name(relid) + " WHERE " + known + " GROUP BY " + list +
           " HAVING count(*) > 1 ORDER BY " + list + " LIMIT $1";
}

} // namespace privacy_scan::unique
