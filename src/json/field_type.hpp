// The types that json_populate() fills, and how: a value of a document becomes a datum, or is found not to
// fit. Nothing here fails because of what a document holds, and nothing calls a user's code. Red.
#pragma once

#include "json/key_memo.hpp"
#include "pg/postgres.hpp"

extern "C" {
#include <access/tupdesc.h>
}

namespace privacy_scan::json
{

struct RowType;

// One type, looked up once for a call site.
struct FieldType {
    using Convert = bool (*)(const FieldType &type, ByteSource &source, const Value &value, Datum &out);
    Convert convert;
    Oid oid;
    std::int32_t typmod;
    FieldType *element; // of an array
    std::int16_t element_size;
    char element_align;
    bool element_by_value;
    RowType *row; // of a composite type
};

// A composite type.
struct RowType {
    TupleDesc desc;
    FieldType *fields;
    Step *keys;
    KeyMemo *memos;
    Datum *values; // room for a row
    bool *nulls;
};

// Looks a composite type up, in the current memory context. Error: 0A000 feature_not_supported where a column
// is of a type that isn't filled.
RowType *make_row_type(TupleDesc desc);

// Fills values and nulls from an object; a column for whose name it has no key is left as it is.
void fill_row(RowType &row, ByteSource &source, const Value &object);

} // namespace privacy_scan::json
