// See condition.hpp. Red but for the entry. Whatever of the condition is executed here runs as the relation's
// owner, as it does later on: reading a literal may run the CHECK of a domain inside its type.
#include "pg/postgres.hpp"

#include "retention/condition.hpp"

#include "pg/compat.hpp"

extern "C" {
#include <access/table.h>
#include <access/transam.h>
#include <catalog/pg_proc.h>
#include <miscadmin.h>
#include <storage/lockdefs.h>
#include <nodes/makefuncs.h>
#include <nodes/nodeFuncs.h>
#include <nodes/parsenodes.h>
#include <optimizer/optimizer.h>
#include <parser/parse_coerce.h>
#include <parser/parse_collate.h>
#include <parser/parse_expr.h>
#include <parser/parse_node.h>
#include <parser/parse_relation.h>
#include <utils/lsyscache.h>
#include <utils/rel.h>
#include <utils/ruleutils.h>
}

namespace privacy_scan::retention
{

namespace
{

// True for a SELECT that is one bare expression and nothing else.
bool is_bare_expression(const SelectStmt *select)
{
    return select->op == SETOP_NONE && list_length(select->targetList) == 1 && !select->distinctClause &&
           !select->intoClause && !select->fromClause && !select->whereClause && !select->groupClause &&
           !select->havingClause && !select->windowClause && !select->valuesLists && !select->sortClause &&
           !select->limitOffset && !select->limitCount && !select->lockingClause && !select->withClause;
}

// SELECT * is a target, not an expression: the expression parser would read a name that isn't there.
bool is_star(Node *expression)
{
    return IsA(expression, ColumnRef) &&
           IsA(linitial(reinterpret_cast<ColumnRef *>(expression)->fields), A_Star);
}

Node *parse_expression(const char *sql)
{
    List *statements = pg::compat::parse_sql(sql);
    if (list_length(statements) == 1) {
        Node *statement = linitial_node(RawStmt, statements)->stmt;
        if (IsA(statement, SelectStmt) && is_bare_expression(reinterpret_cast<SelectStmt *>(statement))) {
            auto *target = linitial_node(ResTarget, reinterpret_cast<SelectStmt *>(statement)->targetList);
            if (!target->name && !target->indirection && !is_star(target->val))
                return target->val;
        }
    }
    ereport(
        ERROR,
        (errcode(ERRCODE_SYNTAX_ERROR), errmsg("condition is not a single expression"),
         errhint(
             "Give a boolean expression over the root's columns, such as status IN ('done', 'failed').")));
    pg_unreachable();
}

Node *analyze(Oid relid, const char *sql, const char *alias = nullptr)
{
    ParseState *state = make_parsestate(nullptr);
    state->p_sourcetext = sql;
    Relation rel = table_open(relid, AccessShareLock);
    ParseNamespaceItem *item = addRangeTableEntryForRelation(
        state, rel, AccessShareLock, alias ? makeAlias(alias, NIL) : nullptr, false, true);
    addNSItemToQuery(state, item, true, true, true);
    Node *expression = transformExpr(state, parse_expression(sql), EXPR_KIND_CHECK_CONSTRAINT);
    expression = coerce_to_boolean(state, expression, "condition");
    assign_expr_collations(state, expression);
    table_close(rel, NoLock);
    if (contain_volatile_functions(expression))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_OBJECT_DEFINITION), errmsg("condition uses a volatile function"),
                 errdetail("It would choose other rows each time it is asked.")));
    free_parsestate(state);
    return expression;
}

} // namespace

namespace
{

std::string deparse(Oid relid, Node *expression)
{
    pg::CatalogScope pinned_search_path; // so that the text names every schema but pg_catalog
    return pg::guarded([=]() -> const char * {
        return deparse_expression(expression, deparse_context_for("t", relid), true, false);
    });
}

} // namespace

std::string compile_condition(const pg::OwnedTable &root, const std::string &condition)
{
    const Oid relid = root.relid;
    pg::lock_owned(root, AccessShareLock); // here, where the wait has an end
    const std::string sql = "SELECT " + condition;
    const char *text = sql.c_str();
    Node *expression = nullptr;
    {
        pg::RoleScope owner(root.owner, SECURITY_RESTRICTED_OPERATION);
        expression = pg::guarded([=] { return analyze(relid, text); });
    }
    return deparse(relid, expression);
}

namespace
{

bool is_mutable_of_somebody(Oid function, void *)
{
    return function >= FirstNormalObjectId && func_volatile(function) != PROVOLATILE_IMMUTABLE;
}

// Up to 15 PostgreSQL declares a walker without its arguments; from 16 on it casts whatever it is given.
auto as_untyped(bool (*walker)(Node *, void *))
{
    return reinterpret_cast<bool (*)()>(reinterpret_cast<void *>(walker));
}

bool calls_such(Node *node, void *nothing)
{
    return node && (check_functions_in_node(node, is_mutable_of_somebody, nothing) ||
                    expression_tree_walker(node, as_untyped(calls_such), nothing));
}

} // namespace

bool may_look_elsewhere(Oid relid, const std::string &compiled)
{
    if (compiled.empty())
        return false;
    const std::string sql = "SELECT " + compiled;
    const char *text = sql.c_str();
    return pg::guarded([=] { return calls_such(analyze(relid, text, "t"), nullptr); });
}

std::string compile_condition_as_caller(Oid relid, const std::string &condition)
{
    const std::string sql = "SELECT " + condition;
    const char *text = sql.c_str();
    return deparse(relid, pg::guarded([=] { return analyze(relid, text); }));
}

} // namespace privacy_scan::retention
