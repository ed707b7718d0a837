// See standby.hpp.
#include "pg/standby.hpp"

#include "pg/rowset.hpp"

extern "C" {
#include <access/xact.h>
#include <access/xlog.h>
#include <catalog/pg_type_d.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::pg
{

namespace
{

constexpr const char *message = "this server is a standby; call it on the primary";

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names)
{
    return std::find(names.begin(), names.end(), name) != names.end();
}

// What a column of the result says, by its name and type.
Cell cell_of(FunctionCallInfo fcinfo, const FormData_pg_attribute &column)
{
    const std::string_view name = NameStr(column.attname);
    if (column.atttypid == TEXTOID && is_one_of(name, {"action", "state"}))
        return cell("standby");
    if (column.atttypid == TEXTOID && is_one_of(name, {"message", "reason", "detail"}))
        return cell(message);
    if (column.atttypid == REGCLASSOID && name == "relation" && fcinfo->nargs > 0 &&
        guarded([=] { return get_fn_expr_argtype(fcinfo->flinfo, 0); }) == REGCLASSOID && !fcinfo->args[0].isnull)
        return {fcinfo->args[0].value, false};
    return null_cell();
}

// Whether the row tells it.
bool put_row(FunctionCallInfo fcinfo)
{
    RowSink sink(fcinfo);
    std::vector<Cell> cells;
    bool tells = false;
    for (int i = 0; i < sink.desc()->natts; ++i) {
        const Form_pg_attribute column = TupleDescAttr(sink.desc(), i);
        cells.push_back(cell_of(fcinfo, *column));
        tells = tells || (column->atttypid == TEXTOID && !cells.back().is_null);
    }
    sink.put(cells);
    return tells;
}

} // namespace

bool declined_on_standby(FunctionCallInfo fcinfo)
{
    if (!guarded([] { return RecoveryInProgress(); })) {
        const Oid function = fcinfo->flinfo->fn_oid;
        guarded([=] {
            if (XactReadOnly)
                ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
                                errmsg("%s() cannot run in a read-only transaction", get_func_name(function)),
                                errhint("Run SET TRANSACTION READ WRITE first, or look at "
                                        "default_transaction_read_only.")));
        });
        return false;
    }
    if (!fcinfo->flinfo->fn_retset || !put_row(fcinfo))
        guarded([] { ereport(WARNING, (errmsg("%s", message))); });
    fcinfo->isnull = true;
    return true;
}

} // namespace privacy_scan::pg
