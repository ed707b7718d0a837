// The aggregate privacy_scan.row_digest(record). Per row, so red: no guard, no destructor.
#include "pg/postgres.hpp"

#include "pg/entry.hpp"
#include "retention/digest.hpp"

extern "C" {
#include <access/detoast.h>
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
using retention::Digest;

namespace
{

// The aggregate's state.
struct Total {
    std::int64_t rows;
    std::int64_t bytes;
    Digest digest;
};

// What is known of the row type, for the life of the call site.
struct RowShape {
    Oid type;
    std::int32_t typmod;
    TupleDesc desc;
    int *order; // attribute numbers from 0, by name; dropped ones left out
    int columns;
    std::uint64_t *name_hash;
    Datum *values;
    bool *nulls;
};

int compare_names(const void *a, const void *b, void *desc)
{
    auto name = [=](const void *index) {
        return NameStr(
            TupleDescAttr(static_cast<TupleDesc>(desc), *static_cast<const int *>(index))->attname);
    };
    return strcmp(name(a), name(b));
}

RowShape *make_shape(FunctionCallInfo fcinfo, Oid type, std::int32_t typmod)
{
    MemoryContext outer = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
    auto *shape = static_cast<RowShape *>(palloc0(sizeof(RowShape)));
    shape->type = type;
    shape->typmod = typmod;
    shape->desc = lookup_rowtype_tupdesc_copy(type, typmod);
    int natts = shape->desc->natts;
    shape->order = static_cast<int *>(palloc(sizeof(int) * (natts + 1)));
    shape->name_hash = static_cast<std::uint64_t *>(palloc(sizeof(std::uint64_t) * (natts + 1)));
    shape->values = static_cast<Datum *>(palloc(sizeof(Datum) * (natts + 1)));
    shape->nulls = static_cast<bool *>(palloc(sizeof(bool) * (natts + 1)));
    for (int i = 0; i < natts; ++i) {
        shape->name_hash[i] = retention::hash_of_name(NameStr(TupleDescAttr(shape->desc, i)->attname));
        if (!TupleDescAttr(shape->desc, i)->attisdropped)
            shape->order[shape->columns++] = i;
    }
    qsort_arg(shape->order, shape->columns, sizeof(int), compare_names, shape->desc);
    fcinfo->flinfo->fn_extra = shape;
    MemoryContextSwitchTo(outer);
    return shape;
}

RowShape *shape_of(FunctionCallInfo fcinfo, HeapTupleHeader row)
{
    auto *shape = static_cast<RowShape *>(fcinfo->flinfo->fn_extra);
    Oid type = HeapTupleHeaderGetTypeId(row);
    std::int32_t typmod = HeapTupleHeaderGetTypMod(row);
    return shape && shape->type == type && shape->typmod == typmod ? shape : make_shape(fcinfo, type, typmod);
}

// The value's logical bytes: detoasted, without a header, so that they are the same however it is stored.
void add_value(retention::RowHash *hash, std::uint64_t name_hash, Datum value, Form_pg_attribute column)
{
    if (column->attbyval) {
        Datum image = value;
        hash->add(name_hash, &image, sizeof image);
    } else if (column->attlen == -1) {
        struct varlena *stored = reinterpret_cast<struct varlena *>(DatumGetPointer(value));
        struct varlena *plain = pg_detoast_datum_packed(stored);
        hash->add(name_hash, VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
        if (plain != stored)
            pfree(plain);
    } else {
        std::size_t size =
            column->attlen == -2 ? strlen(DatumGetCString(value)) : static_cast<std::size_t>(column->attlen);
        hash->add(name_hash, DatumGetPointer(value), size);
    }
}

void add_row(FunctionCallInfo fcinfo, Total *total, HeapTupleHeader row)
{
    RowShape *shape = shape_of(fcinfo, row);
    HeapTupleData tuple{};
    tuple.t_len = HeapTupleHeaderGetDatumLength(row);
    tuple.t_data = row;
    heap_deform_tuple(&tuple, shape->desc, shape->values, shape->nulls);
    retention::RowHash hash;
    for (int i = 0; i < shape->columns; ++i) {
        int column = shape->order[i];
        if (!shape->nulls[column])
            add_value(&hash, shape->name_hash[column], shape->values[column],
                      TupleDescAttr(shape->desc, column));
    }
    total->rows += 1;
    total->bytes += static_cast<std::int64_t>(hash.bytes());
    total->digest = total->digest + hash.finish();
}

Total *state_argument(FunctionCallInfo fcinfo, int n)
{
    if (!PG_ARGISNULL(n))
        return reinterpret_cast<Total *>(PG_GETARG_POINTER(n));
    MemoryContext context;
    if (!AggCheckCallContext(fcinfo, &context))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("must be called as an aggregate")));
    return static_cast<Total *>(MemoryContextAllocZero(context, sizeof(Total)));
}

} // namespace

extern "C" {

PGDLLEXPORT Datum ps_row_digest_add(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(ps_row_digest_add);
// Transition of privacy_scan.row_digest(record). IMMUTABLE, PARALLEL SAFE. A NULL row is not counted.
Datum ps_row_digest_add(PG_FUNCTION_ARGS)
{
    Total *total = state_argument(fcinfo, 0);
    if (!PG_ARGISNULL(1)) {
        HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(1);
        add_row(fcinfo, total, row);
        PG_FREE_IF_COPY(row, 1);
    }
    PG_RETURN_POINTER(total);
}

PGDLLEXPORT Datum ps_row_digest_result(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(ps_row_digest_result);
// Final function: (rows, bytes, digest). bytes: logical size, uncompressed.
Datum ps_row_digest_result(PG_FUNCTION_ARGS)
{
    Total none{};
    const Total *total = PG_ARGISNULL(0) ? &none : reinterpret_cast<Total *>(PG_GETARG_POINTER(0));
    TupleDesc desc;
    if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    char text[33];
    retention::to_hex(total->digest, text);
    Datum values[3] = {Int64GetDatum(total->rows), Int64GetDatum(total->bytes), CStringGetTextDatum(text)};
    bool nulls[3] = {false, false, false};
    PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

PGDLLEXPORT Datum ps_row_digest_combine(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(ps_row_digest_combine);
// Combines the states of parallel workers.
Datum ps_row_digest_combine(PG_FUNCTION_ARGS)
{
    Total *total = state_argument(fcinfo, 0);
    if (!PG_ARGISNULL(1)) {
        const Total *other = reinterpret_cast<Total *>(PG_GETARG_POINTER(1));
        total->rows += other->rows;
        total->bytes += other->bytes;
        total->digest = total->digest + other->digest;
    }
    PG_RETURN_POINTER(total);
}

PGDLLEXPORT Datum ps_row_digest_serialize(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(ps_row_digest_serialize);
// A state as bytes, for its way from a parallel worker.
Datum ps_row_digest_serialize(PG_FUNCTION_ARGS)
{
    if (!AggCheckCallContext(fcinfo, nullptr))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("must be called as an aggregate")));
    auto *bytes = static_cast<bytea *>(palloc(VARHDRSZ + sizeof(Total)));
    SET_VARSIZE(bytes, VARHDRSZ + sizeof(Total));
    memcpy(VARDATA(bytes), PG_GETARG_POINTER(0), sizeof(Total));
    PG_RETURN_BYTEA_P(bytes);
}

PGDLLEXPORT Datum ps_row_digest_deserialize(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(ps_row_digest_deserialize);
// And back.
Datum ps_row_digest_deserialize(PG_FUNCTION_ARGS)
{
    bytea *bytes = PG_GETARG_BYTEA_PP(0);
    if (!AggCheckCallContext(fcinfo, nullptr) || VARSIZE_ANY_EXHDR(bytes) != sizeof(Total))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("must be called as an aggregate")));
    auto *total = static_cast<Total *>(palloc(sizeof(Total)));
    memcpy(total, VARDATA_ANY(bytes), sizeof(Total));
    PG_RETURN_POINTER(total);
}
}
