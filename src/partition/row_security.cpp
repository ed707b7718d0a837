// See row_security.hpp.
#include "pg/postgres.hpp"

#include "partition/row_security.hpp"

#include "pg/compat.hpp"
#include "pg/ident.hpp"

extern "C" {
#include <access/table.h>
#include <nodes/nodes.h>
#include <rewrite/rewriteManip.h>
#include <utils/lsyscache.h>
#include <utils/rel.h>
#include <utils/ruleutils.h>
}

namespace privacy_scan::partition
{

namespace
{

constexpr const char *switches =
    "SELECT 'ALTER TABLE ', ' ENABLE ROW LEVEL SECURITY' FROM pg_catalog.pg_class WHERE oid = $1 AND relrowsecurity"
    " UNION ALL "
    "SELECT 'ALTER TABLE ', ' FORCE ROW LEVEL SECURITY' FROM pg_catalog.pg_class WHERE oid = $1 AND relforcerowsecurity";

constexpr const char *policies =
    "SELECT 'CREATE POLICY ' || quote_ident(polname::text) || ' ON ',"
    " CASE WHEN polpermissive THEN ' AS PERMISSIVE' ELSE ' AS RESTRICTIVE' END || ' FOR ' ||"
    " CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'"
    "  ELSE 'ALL' END || ' TO ' ||"
    " (SELECT string_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)::text) END, ', ')"
    "  FROM unnest(polroles) AS r),"
    " polqual::text, polwithcheck::text"
    " FROM pg_catalog.pg_policy WHERE polrelid = $1 ORDER BY polname";

// Red. An expression over one table's row as SQL text about the other's: other column numbers, another name wherever a
// subquery refers to the row.
const char *expression_on(Oid relid, Oid from_relid, const char *nodes)
{
    Relation from = table_open(from_relid, NoLock), to = table_open(relid, NoLock);
    AttrMap *map = pg::compat::attribute_map(RelationGetDescr(to), RelationGetDescr(from));
    table_close(from, NoLock);
    table_close(to, NoLock);
    bool whole_row = false; // stays what it is: the row
    Node *expression =
        map_variable_attnos(static_cast<Node *>(stringToNode(nodes)), 1, 0, map, InvalidOid, &whole_row);
    return deparse_expression(expression, deparse_context_for(get_rel_name(relid), relid), false, false);
}

std::string clause(const char *keyword, const std::string &expression, Oid from, Oid to)
{
    if (expression.empty())
        return {};
    const char *nodes = expression.c_str();
    return keyword + (" (" + std::string(pg::guarded([=] { return expression_on(to, from, nodes); })) + ")");
}

} // namespace

RowSecurity read_row_security(pg::Spi &spi, Oid relid)
{
    RowSecurity security;
    pg::Rows rows = spi.run(switches, {pg::oid_param(relid)});
    for (std::size_t row = 0; row < rows.size(); ++row)
        security.switches.push_back({rows.text(row, 1), rows.text(row, 2)});
    pg::Rows drafts = spi.run(policies, {pg::oid_param(relid)});
    for (std::size_t row = 0; row < drafts.size(); ++row)
        security.policies.push_back(
            {{drafts.text(row, 1), drafts.text(row, 2)}, drafts.text(row, 3), drafts.text(row, 4)});
    return security;
}

void secure_rows(pg::Spi &spi, const RowSecurity &security, Oid from, Oid to)
{
    const std::string name = pg::qualified_name(to);
    for (const Statement &statement : security.switches)
        spi.run(statement.about(name));
    for (const SecurityPolicy &policy : security.policies)
        spi.run(policy.statement.about(name) + clause(" USING", policy.use, from, to) +
                clause(" WITH CHECK", policy.check, from, to));
}

} // namespace privacy_scan::partition
