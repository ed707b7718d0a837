// See row_shape.hpp.
#include "retention/row_shape.hpp"

extern "C" {
#include <access/detoast.h>
#include <catalog/pg_attribute.h>
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

// The value's logical bytes: detoasted, without a header, so that they are the same however it is stored.
void add_value(RowHash *hash, std::uint64_t name_hash, Datum value, Form_pg_attribute column)
{
    if (column->attbyval) {
        Datum image = value;
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

} // namespace

RowShape *make_row_shape(TupleDesc desc)
{
    auto *shape = static_cast<RowShape *>(palloc0(sizeof(RowShape)));
    const int natts = desc->natts;
    shape->desc = desc;
    shape->order = static_cast<int *>(palloc(sizeof(int) * (natts + 1)));
    shape->name_hash = static_cast<std::uint64_t *>(palloc(sizeof(std::uint64_t) * (natts + 1)));
    for (int i = 0; i < natts; ++i) {
        shape->name_hash[i] = hash_of_name(NameStr(TupleDescAttr(desc, i)->attname));
        if (!TupleDescAttr(desc, i)->attisdropped)
            shape->order[shape->columns++] = i;
    }
    qsort_arg(shape->order, shape->columns, sizeof(int), compare_names, desc);
    return shape;
}

void add_row(RowTotal *total, const RowShape *shape, const Datum *values, const bool *nulls)
{
    RowHash hash;
    for (int i = 0; i < shape->columns; ++i) {
        const int column = shape->order[i];
        if (!nulls[column])
            add_value(&hash, shape->name_hash[column], values[column], TupleDescAttr(shape->desc, column));
    }
    total->rows += 1;
    total->bytes += static_cast<std::int64_t>(hash.bytes());
    total->digest = total->digest + hash.finish();
}

} // namespace privacy_scan::retention
