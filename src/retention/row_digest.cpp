// The aggregate privacy_scan.row_digest(record). Per row, so red: no guard, no destructor.
#include "pg/postgres.hpp"

#include "pg/entry.hpp"
#include "retention/row_shape.hpp"

extern "C" {
#include <access/htup_details.h>
#include <catalog/pg_type_d.h>
#include <funcapi.h>
#include <libpq/pqformat.h>
#include <utils/array.h>
#include <utils/builtins.h>
#include <utils/memutils.h>
#include <utils/typcache.h>
}

using namespace privacy_scan;
using retention::add_row;
using retention::make_row_shape;
using retention::RowShape;
using retention::RowTotal;

namespace
{

// What is known of the row type, for the life of the call site.
struct CallSite {
    Oid type;
    std::int32_t typmod;
    RowShape *shape;
    Datum *values;
    bool *nulls;
};

CallSite *make_site(FunctionCallInfo fcinfo, Oid type, std::int32_t typmod)
{
    MemoryContext outer = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
    auto *site = static_cast<CallSite *>(palloc0(sizeof(CallSite)));
    site->type = type;
    site->typmod = typmod;
    site->shape = make_row_shape(lookup_rowtype_tupdesc_copy(type, typmod));
    const int natts = site->shape->desc->natts;
    site->values = static_cast<Datum *>(palloc(sizeof(Datum) * (natts + 1)));
    site->nulls = static_cast<bool *>(palloc(sizeof(bool) * (natts + 1)));
    fcinfo->flinfo->fn_extra = site;
    MemoryContextSwitchTo(outer);
    return site;
}

CallSite *site_of(FunctionCallInfo fcinfo, HeapTupleHeader row)
{
    auto *site = static_cast<CallSite *>(fcinfo->flinfo->fn_extra);
    Oid type = HeapTupleHeaderGetTypeId(row);
    std::int32_t typmod = HeapTupleHeaderGetTypMod(row);
    return site && site->type == type && site->typmod == typmod ? site : make_site(fcinfo, type, typmod);
}

void add_record(FunctionCallInfo fcinfo, RowTotal *total, HeapTupleHeader row)
{
    CallSite *site = site_of(fcinfo, row);
    HeapTupleData tuple{};
    tuple.t_len = HeapTupleHeaderGetDatumLength(row);
    tuple.t_data = row;
    heap_deform_tuple(&tuple, site->shape->desc, site->values, site->nulls);
    add_row(total, site->shape, site->values, site->nulls);
}

RowTotal *state_argument(FunctionCallInfo fcinfo, int n)
{
    if (!PG_ARGISNULL(n))
        return reinterpret_cast<RowTotal *>(PG_GETARG_POINTER(n));
    MemoryContext context;
    if (!AggCheckCallContext(fcinfo, &context))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("must be called as an aggregate")));
    return static_cast<RowTotal *>(MemoryContextAllocZero(context, sizeof(RowTotal)));
}

} // namespace

// Transition of privacy_scan.row_digest(record). IMMUTABLE, PARALLEL SAFE. A NULL row is not counted.
PS_RED_FUNCTION(ps_row_digest_add)
{
    RowTotal *total = state_argument(fcinfo, 0);
    if (!PG_ARGISNULL(1)) {
        HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(1);
        add_record(fcinfo, total, row);
        PG_FREE_IF_COPY(row, 1);
    }
    PG_RETURN_POINTER(total);
}

// Final function: (rows, bytes, digest). bytes: logical size, uncompressed.
PS_RED_FUNCTION(ps_row_digest_result)
{
    RowTotal none{};
    const RowTotal *total = PG_ARGISNULL(0) ? &none : reinterpret_cast<RowTotal *>(PG_GETARG_POINTER(0));
    TupleDesc desc;
    if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    char text[33];
    retention::to_hex(total->digest, text);
    Datum values[3] = {Int64GetDatum(total->rows), Int64GetDatum(total->bytes), CStringGetTextDatum(text)};
    bool nulls[3] = {false, false, false};
    PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

// Combines the states of parallel workers.
PS_RED_FUNCTION(ps_row_digest_combine)
{
    RowTotal *total = state_argument(fcinfo, 0);
    if (!PG_ARGISNULL(1)) {
        const RowTotal *other = reinterpret_cast<RowTotal *>(PG_GETARG_POINTER(1));
        total->rows += other->rows;
        total->bytes += other->bytes;
        total->digest = total->digest + other->digest;
    }
    PG_RETURN_POINTER(total);
}

// A state as bytes, for its way from a parallel worker.
PS_RED_FUNCTION(ps_row_digest_serialize)
{
    if (!AggCheckCallContext(fcinfo, nullptr))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("must be called as an aggregate")));
    auto *bytes = static_cast<bytea *>(palloc(VARHDRSZ + sizeof(RowTotal)));
    SET_VARSIZE(bytes, VARHDRSZ + sizeof(RowTotal));
    memcpy(VARDATA(bytes), PG_GETARG_POINTER(0), sizeof(RowTotal));
    PG_RETURN_BYTEA_P(bytes);
}

// And back.
PS_RED_FUNCTION(ps_row_digest_deserialize)
{
    bytea *bytes = PG_GETARG_BYTEA_PP(0);
    if (!AggCheckCallContext(fcinfo, nullptr) || VARSIZE_ANY_EXHDR(bytes) != sizeof(RowTotal))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("must be called as an aggregate")));
    auto *total = static_cast<RowTotal *>(palloc(sizeof(RowTotal)));
    memcpy(total, VARDATA_ANY(bytes), sizeof(RowTotal));
    PG_RETURN_POINTER(total);
}
