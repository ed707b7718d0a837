// See index_catalog.hpp.
#include "pg/postgres.hpp"

#include "index/index_catalog.hpp"

#include "pg/ident.hpp"

extern "C" {
#include <catalog/pg_class.h>
#include <utils/array.h>
#include <utils/builtins.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::index
{

namespace
{

void refuse_kind(Oid relid, const char *why)
{
    pg::fail(ERRCODE_WRONG_OBJECT_TYPE,
             "cannot build an index on relation \"" + pg::relation_name(relid) + "\"", why);
}

// The kinds that may be: 'r' and 'p'.
void check_kind(Oid relid, char kind, char persistence)
{
    if (kind == RELKIND_FOREIGN_TABLE)
        refuse_kind(
            relid, "It is a foreign table, without whose index that of the parent would never become valid.");
    if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
        refuse_kind(relid, "It is neither a table nor a partitioned one.");
    if (persistence == RELPERSISTENCE_TEMP)
        refuse_kind(relid, "It is temporary, and the index is built by another process.");
}

void check_owner(const pg::OwnedTable &table, Oid owner)
{
    if (table.owner != owner)
        pg::fail(ERRCODE_INSUFFICIENT_PRIVILEGE,
                 "partition \"" + pg::relation_name(table.relid) + "\" has another owner than its parent",
                 "It belongs to \"" + pg::role_name(table.owner) + "\", the parent to \"" +
                     pg::role_name(owner) + "\".",
                 "Give all of them the same owner.");
}

pg::Param names_param(const std::vector<std::string> &names)
{
    std::vector<Datum> elements;
    for (const std::string &name : names)
        elements.push_back(pg::text_param(name).value);
    Datum *data = elements.data();
    const int count = static_cast<int>(elements.size());
    return pg::datum_param(TEXTARRAYOID, pg::guarded([=] {
                               return PointerGetDatum(
                                   construct_array(data, count, TEXTOID, -1, false, TYPALIGN_INT));
                           }));
}

} // namespace

std::vector<Member> members_of(pg::Spi &spi, Oid root)
{
    const Oid owner = pg::require_owner(root).owner;
    pg::CatalogPath path;
    pg::Rows rows = spi.run("SELECT c.oid, c.relkind, c.relpersistence FROM pg_catalog.pg_class c"
                            " LEFT JOIN pg_catalog.pg_partition_tree($1) t ON t.relid = c.oid"
                            " WHERE c.oid = $1 OR t.relid IS NOT NULL ORDER BY t.level, c.oid",
                            {pg::regclass_param(root)});
    std::vector<Member> members;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        const Oid relid = rows.oid(row, 1);
        const char kind = DatumGetChar(rows.datum(row, 2));
        check_kind(relid, kind, DatumGetChar(rows.datum(row, 3)));
        members.push_back({pg::require_owner(relid), kind == RELKIND_PARTITIONED_TABLE});
        check_owner(members.back().table, owner);
    }
    return members;
}

void check_columns(const Wish &wish)
{
    if (wish.columns.empty())
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "an index needs at least one column");
    std::vector<std::string> sorted = wish.columns;
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end())
        pg::fail(ERRCODE_DUPLICATE_COLUMN, "column \"" + *twice + "\" is named twice");
    for (const std::string &column : wish.columns) {
        const char *name = column.c_str();
        if (pg::guarded([&] { return get_attnum(wish.relid, name); }) <= 0)
            pg::fail(ERRCODE_UNDEFINED_COLUMN, "column \"" + column + "\" of relation \"" +
                                                   pg::relation_name(wish.relid) + "\" does not exist");
    }
}

std::vector<FoundIndex> find_indexes(pg::Spi &spi, Oid relid, const Wish &wish)
{
    pg::CatalogPath path;
    // The column NULLS NOT DISTINCT is recorded in came with 15.
    pg::Rows rows = spi.run(
        "SELECT x.oid, i.indisvalid AND i.indislive, coalesce(h.inhparent, 0::oid),"
        " EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = x.oid AND k.conrelid = $1)"
        " FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid"
        " JOIN pg_catalog.pg_am a ON a.oid = x.relam"
        " LEFT JOIN pg_catalog.pg_inherits h ON h.inhrelid = x.oid"
        " WHERE i.indrelid = $1 AND a.amname = $3 AND i.indisunique = $4"
        " AND i.indimmediate AND NOT i.indisexclusion AND i.indpred IS NULL AND i.indexprs IS NULL"
        " AND coalesce((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) = false"
        " AND i.indnatts = pg_catalog.cardinality($2) AND i.indnkeyatts = i.indnatts"
        " AND NOT EXISTS (SELECT FROM pg_catalog.unnest($2) WITH ORDINALITY w (name, n)"
        "   LEFT JOIN pg_catalog.pg_attribute t ON t.attrelid = $1 AND t.attname = w.name"
        "   LEFT JOIN pg_catalog.pg_opclass o ON o.oid = i.indclass[w.n::int - 1]"
        "   WHERE (t.attnum = i.indkey[w.n::int - 1] AND t.attcollation = i.indcollation[w.n::int - 1]"
        "     AND i.indoption[w.n::int - 1] = 0 AND o.opcdefault) IS NOT TRUE)"
        " ORDER BY x.oid",
        {pg::oid_param(relid), names_param(wish.columns), pg::text_param(wish.method),
         pg::bool_param(wish.is_unique)});
    std::vector<FoundIndex> found;
    for (std::size_t row = 0; row < rows.size(); ++row)
        found.push_back({rows.oid(row, 1), rows.boolean(row, 2), rows.boolean(row, 4), rows.oid(row, 3)});
    return found;
}

Oid parent_of(pg::Spi &spi, Oid relid)
{
    pg::CatalogPath path;
    pg::Rows rows = spi.run("SELECT h.inhparent FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_class c"
                            " ON c.oid = h.inhrelid WHERE c.oid = $1 AND c.relispartition",
                            {pg::oid_param(relid)});
    return rows.empty() ? InvalidOid : rows.oid(0, 1);
}

std::string free_name(pg::Spi &spi, Oid relid, const Wish &wish)
{
    pg::CatalogPath path;
    std::string base = pg::relation_name(relid);
    for (const std::string &column : wish.columns)
        base += "_" + column;
    for (int number = 0;; ++number) {
        std::string name = pg::name_with_suffix(base, number == 0 ? "_idx" : "_idx" + std::to_string(number));
        pg::Rows rows = spi.run("SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_class t"
                                " ON t.relnamespace = c.relnamespace WHERE t.oid = $1 AND c.relname = $2",
                                {pg::oid_param(relid), pg::text_param(name)});
        if (rows.empty())
            return name;
    }
}

std::string create_sql(Oid relid, const std::string &name, const Wish &wish, Action action)
{
    std::string columns;
    for (const std::string &column : wish.columns)
        columns += (columns.empty() ? "" : ", ") + pg::quote(column);
    const bool is_build = action == Action::build;
    return std::string("CREATE ") + (wish.is_unique ? "UNIQUE " : "") + "INDEX " +
           (is_build ? "CONCURRENTLY " : "") + pg::quote(name) + " ON " + (is_build ? "" : "ONLY ") +
           pg::qualified_name(relid) + " USING " + pg::quote(wish.method) + " (" + columns + ")";
}

std::string drop_sql(Oid index)
{
    return "DROP INDEX CONCURRENTLY " + pg::qualified_name(index);
}

std::string attach_sql(Oid parent_index, Oid index)
{
    return "ALTER INDEX " + pg::qualified_name(parent_index) + " ATTACH PARTITION " +
           pg::qualified_name(index);
}

} // namespace privacy_scan::index
