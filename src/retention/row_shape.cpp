// See row_shape.hpp.
#include "retention/row_shape.hpp"

extern "C" {
#include <access/detoast.h>
#include <access/htup_details.h>
#include <catalog/pg_attribute.h>
#include <catalog/pg_enum.h>
#include <catalog/pg_type.h>
#include <utils/lsyscache.h>
#include <utils/syscache.h>
}

namespace privacy_scan::retention
{

namespace
{

int compare_names(const void *a, const void *b, void *desc)
{
    auto name = [=](const void *index) {
        return NameStr(
            TupleDescAttr(static_cast<TupleDesc>(desc), *static_cast<const int *>(index))->attname);
    };
    return strcmp(name(a), name(b));
}

// As it is read from a table: a function may leave the upper half of a Datum otherwise, oidin() does.
Datum as_stored(Datum value, int size)
{
    switch (size) {
    case 1:
        return CharGetDatum(DatumGetChar(value));
    case 2:
        return Int16GetDatum(DatumGetInt16(value));
    case 4:
        return Int32GetDatum(DatumGetInt32(value));
    default:
        return value;
    }
}

// The value's logical bytes: detoasted, without a header, so that they are the same however it is stored.
void add_value(RowHash *hash, std::uint64_t name_hash, Datum value, Form_pg_attribute column)
{
    if (column->attbyval) {
        Datum image = as_stored(value, column->attlen);
        hash->add(name_hash, &image, sizeof image);
    } else if (column->attlen == -1) {
        auto *stored = reinterpret_cast<struct varlena *>(DatumGetPointer(value));
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

void add_label(RowHash *hash, std::uint64_t name_hash, Datum value)
{
    HeapTuple label = SearchSysCache1(ENUMOID, value);
    if (!HeapTupleIsValid(label))
        ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
                        errmsg("invalid internal value for enum: %u", DatumGetObjectId(value))));
    const char *text = NameStr(reinterpret_cast<Form_pg_enum>(GETSTRUCT(label))->enumlabel);
    hash->add(name_hash, text, strlen(text));
    ReleaseSysCache(label);
}

} // namespace

RowShape *make_row_shape(TupleDesc desc)
{
    auto *shape = static_cast<RowShape *>(palloc0(sizeof(RowShape)));
    const int natts = desc->natts;
    shape->desc = desc;
    shape->order = static_cast<int *>(palloc(sizeof(int) * (natts + 1)));
    shape->name_hash = static_cast<std::uint64_t *>(palloc(sizeof(std::uint64_t) * (natts + 1)));
    shape->is_enum = static_cast<bool *>(palloc0(sizeof(bool) * (natts + 1)));
    for (int i = 0; i < natts; ++i) {
        shape->name_hash[i] = hash_of_name(NameStr(TupleDescAttr(desc, i)->attname));
        if (TupleDescAttr(desc, i)->attisdropped)
            continue;
        shape->order[shape->columns++] = i;
        shape->is_enum[i] = get_typtype(getBaseType(TupleDescAttr(desc, i)->atttypid)) == TYPTYPE_ENUM;
    }
    qsort_arg(shape->order, shape->columns, sizeof(int), compare_names, desc);
    return shape;
}

void add_row(RowTotal *total, const RowShape *shape, const Datum *values, const bool *nulls)
{
    RowHash hash;
    for (int i = 0; i < shape->columns; ++i) {
        const int column = shape->order[i];
        if (nulls[column])
            continue;
        if (shape->is_enum[column])
            add_label(&hash, shape->name_hash[column], values[column]);
        else
            add_value(&hash, shape->name_hash[column], values[column], TupleDescAttr(shape->desc, column));
    }
    total->rows += 1;
    total->bytes += static_cast<std::int64_t>(hash.bytes());
    total->digest = total->digest + hash.finish();
}

} // namespace privacy_scan::retention
