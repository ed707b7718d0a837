// See archived_rows.hpp. One statement, so that one snapshot sees a row that a batch moves meanwhile once;
// and the live relation is named, and so locked, first: a partition that goes whole waits for that lock, or
// has gone before.
#include "pg/postgres.hpp"

#include "retention/archived_rows.hpp"

#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/ident.hpp"
#include "pg/owner.hpp"
#include "pg/rowset.hpp"
#include "retention/condition.hpp"

extern "C" {
#include <catalog/pg_class_d.h>
#include <miscadmin.h>
#include <utils/acl.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::retention
{

namespace
{

std::vector<Oid> table_archives(pg::Spi &spi, Oid relid)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run("SELECT DISTINCT c.oid FROM privacy_scan.archive_ledger a"
                            " JOIN pg_catalog.pg_class c ON c.oid = to_regclass(nullif(a.target, ''))"
                            " WHERE a.relation = $1 ORDER BY c.oid",
                            {pg::regclass_param(relid)});
    std::vector<Oid> archives;
    for (std::size_t row = 0; row < rows.size(); ++row)
        archives.push_back(rows.oid(row, 1));
    return archives;
}

// The relation's columns as a relation has them, in the relation's order.
std::string select_columns(pg::Spi &spi, Oid relid, Oid from)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run(
        "SELECT string_agg(CASE"
        "  WHEN (f.atttypid, f.atttypmod, f.attcollation) = (a.atttypid, a.atttypmod, a.attcollation) THEN"
        "   format('t.%I', a.attname)"
        "  ELSE format('CAST(%s AS %s)%s AS %I', CASE WHEN f.attname IS NULL THEN 'NULL'"
        "    ELSE format('t.%I', f.attname) END, format_type(a.atttypid, a.atttypmod),"
        "    CASE WHEN c.oid IS NOT NULL THEN format(' COLLATE %I.%I', n.nspname, c.collname) END, "
        "a.attname) END,"
        "  ', ' ORDER BY a.attnum)"
        " FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attribute f"
        "  ON f.attrelid = $2 AND f.attname = a.attname AND f.attnum > 0 AND NOT f.attisdropped"
        " LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation"
        " LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace"
        " WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped",
        {pg::oid_param(relid), pg::oid_param(from)});
    return "SELECT " + rows.text(0, 1) + " FROM " + pg::qualified_name(from) + " AS t";
}

} // namespace

std::string archived_rows_query(pg::Spi &spi, Oid relid, const std::string &condition)
{
    std::string query = select_columns(spi, relid, relid);
    for (const Oid archive : table_archives(spi, relid))
        query += "\nUNION ALL\n" + select_columns(spi, relid, archive);
    query = "SELECT t.* FROM (\n" + query + "\n) AS t";
    return condition.empty() ? query : query + "\nWHERE " + condition;
}

std::int64_t archives_in_files_alone(pg::Spi &spi, Oid relid)
{
    pg::CatalogScope scope;
    return spi
        .run("SELECT count(DISTINCT (f.target, f.leaf)) FROM privacy_scan.archive_file_ledger f"
             " JOIN privacy_scan.archive_ledger a ON a.target = f.target AND a.leaf = f.leaf"
             " WHERE a.relation = $1 AND f.removed_at IS NOT NULL AND f.rows > 0",
             {pg::regclass_param(relid)})
        .int8(0, 1);
}

} // namespace privacy_scan::retention

using namespace privacy_scan;
using namespace privacy_scan::retention;

namespace
{

constexpr long rows_at_a_time = 1000;

void require_table(Oid relid, int sqlstate, const char *message, const char *hint)
{
    const char kind = OidIsValid(relid) ? pg::guarded([=] { return get_rel_relkind(relid); }) : '\0';
    if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
        pg::fail(sqlstate, message, {}, hint);
    pg::guarded([=] {
        if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
            pg_attribute_aclcheck_all(relid, GetUserId(), ACL_SELECT, ACLMASK_ANY) != ACLCHECK_OK)
            aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(relid));
    });
}

// The relation whose row type the argument has.
Oid relation_of_type(FunctionCallInfo fcinfo)
{
    const Oid type = pg::guarded([=] { return get_fn_expr_argtype(fcinfo->flinfo, 0); });
    const Oid relid = OidIsValid(type) ? pg::guarded([=] { return get_typ_typrelid(type); }) : InvalidOid;
    require_table(relid, ERRCODE_DATATYPE_MISMATCH, "argument \"base\" is not of a table's row type",
                  "Give a NULL of it, such as NULL::\"Scan\".");
    return relid;
}

std::string query_of(pg::Spi &spi, const pg::Arguments &args, Oid relid)
{
    const std::string condition = args.text_or_empty(1);
    return archived_rows_query(spi, relid,
                               condition.empty() ? condition : compile_condition_as_caller(relid, condition));
}

void tell_of_files(pg::Spi &spi, Oid relid)
{
    const std::int64_t files = archives_in_files_alone(spi, relid);
    if (files > 0)
        pg::guarded([=] {
            ereport(NOTICE,
                    (errmsg("%lld archives of the relation are files, which are not read",
                            static_cast<long long>(files)),
                     errhint("restore_file(id) brings one back; privacy_scan.archive_files lists them.")));
        });
}

} // namespace

// privacy_scan.archived_rows(base anyelement, condition text) returns rows: those of the relation whose row
// type the argument has (its value is ignored), live and in its table archives, each once, as the caller's
// snapshot sees them and with the caller's rights. The condition is a boolean expression over the relation's
// columns, as a policy's; an index that a relation has for it is used. A NOTICE says where archives are
// files. STABLE. Errors: 42501 relation or archive, 42804 no table's row type, and for the condition those of
// set_retention().
PS_FUNCTION(ps_archived_rows)
{
    const Oid relid = relation_of_type(fcinfo);
    pg::Arguments args(fcinfo);
    pg::RowSink sink(fcinfo);
    pg::Spi spi;
    const std::string query = query_of(spi, args, relid);
    tell_of_files(spi, relid);
    pg::Cursor cursor(spi, query);
    for (;;) {
        const pg::Rows rows = cursor.fetch(rows_at_a_time);
        if (rows.empty())
            return Datum(0);
        sink.put_rows(rows.descriptor(), rows.tuples(), rows.size());
    }
}

// privacy_scan.archived_rows_query(relation regclass, condition text) returns text: the query that
// archived_rows() runs, for EXPLAIN or a view. STABLE. Errors: 42501, 42809 not a table, those of the
// condition.
PS_FUNCTION(ps_archived_rows_query)
{
    pg::Arguments args(fcinfo);
    const Oid relid = args.relation(0, "relation");
    require_table(relid, ERRCODE_WRONG_OBJECT_TYPE, "argument \"relation\" is not a table", "Name a table.");
    std::string query;
    {
        pg::Spi spi;
        query = query_of(spi, args, relid);
    }
    return pg::text_param(query).value; // made where SPI's memory isn't
}
