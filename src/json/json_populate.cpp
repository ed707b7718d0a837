// json_populate(): a typed row from a document. Per row, so red.
#include "pg/postgres.hpp"

#include "json/call_site.hpp"
#include "json/field_type.hpp"
#include "pg/entry.hpp"

extern "C" {
#include <access/htup_details.h>
#include <catalog/pg_type_d.h>
#include <funcapi.h>
#include <utils/lsyscache.h>
#include <utils/typcache.h>
}

using namespace privacy_scan::json;

namespace
{

struct PopulateSite {
    DocumentSite documents;
    Oid type;
    std::int32_t typmod;
    RowType *row;
};

// Of the base row, or what the call was written with.
Oid row_type_of(FunctionCallInfo fcinfo, std::int32_t &typmod)
{
    typmod = -1;
    if (!PG_ARGISNULL(0) && type_is_rowtype(get_fn_expr_argtype(fcinfo->flinfo, 0))) {
        HeapTupleHeader base = PG_GETARG_HEAPTUPLEHEADER(0);
        typmod = HeapTupleHeaderGetTypMod(base);
        return HeapTupleHeaderGetTypeId(base);
    }
    const Oid type = get_fn_expr_argtype(fcinfo->flinfo, 0);
    if (get_typtype(type) != TYPTYPE_COMPOSITE)
        ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                        errmsg("first argument of json_populate must be of a composite type"),
                        errhint("Call it as json_populate(NULL::type, document).")));
    return type;
}

PopulateSite *site_of(FunctionCallInfo fcinfo)
{
    auto *site = static_cast<PopulateSite *>(fcinfo->flinfo->fn_extra);
    if (site && (site->type != RECORDOID || PG_ARGISNULL(0)))
        return site;
    std::int32_t typmod;
    const Oid type = row_type_of(fcinfo, typmod);
    if (site && site->type == type && site->typmod == typmod)
        return site;
    MemoryContext outer = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
    site = static_cast<PopulateSite *>(palloc0(sizeof(PopulateSite)));
    site->documents.query = fcinfo->flinfo->fn_mcxt;
    site->type = type;
    site->typmod = typmod;
    site->row = make_row_type(lookup_rowtype_tupdesc_copy(type, typmod));
    MemoryContextSwitchTo(outer);
    fcinfo->flinfo->fn_extra = site;
    return site;
}

void begin_with_base(FunctionCallInfo fcinfo, RowType &row)
{
    if (PG_ARGISNULL(0)) {
        memset(row.nulls, true, static_cast<std::size_t>(row.desc->natts));
        return;
    }
    HeapTupleHeader base = PG_GETARG_HEAPTUPLEHEADER(0);
    HeapTupleData tuple{};
    tuple.t_len = HeapTupleHeaderGetDatumLength(base);
    tuple.t_data = base;
    heap_deform_tuple(&tuple, row.desc, row.values, row.nulls);
}

} // namespace

// json_populate(base anyelement, doc jsonb) returns anyelement: the base with the fields that doc has a key
// for. IMMUTABLE, PARALLEL SAFE. A value that does not fit its column is NULL; a document that is no object
// changes nothing; a NULL document gives the base. Errors: 42804 datatype_mismatch where base is of no
// composite type; 0A000 where a column's type isn't filled (field_type.cpp); XX001 where the document is
// damaged.
PS_RED_FUNCTION(ps_json_populate)
{
    if (PG_ARGISNULL(1)) {
        if (PG_ARGISNULL(0))
            PG_RETURN_NULL();
        PG_RETURN_DATUM(PG_GETARG_DATUM(0));
    }
    PopulateSite *site = site_of(fcinfo);
    RowType &row = *site->row;
    begin_with_base(fcinfo, row);
    ByteSource plain;
    ByteSource &source = *open_document(PG_GETARG_DATUM(1), site->documents, plain);
    privacy_scan::json::Value root; // 13 and 14 have a node of that name
    if (is_found(read_root(source, root)) && root.kind == Kind::object)
        fill_row(row, source, root);
    PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(row.desc, row.values, row.nulls)));
}
