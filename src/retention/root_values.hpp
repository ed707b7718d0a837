// The values by which rows refer to their roots, gathered while the rows are read. Red code throughout.
#pragma once

#include "pg/postgres.hpp"

#include "retention/digest.hpp"

extern "C" {
#include <access/tupdesc.h>
#include <utils/array.h>
#include <utils/hsearch.h>
}

namespace privacy_scan::retention
{

// What several leaves refer to. Values are told apart by their bytes; equal ones of different bytes come twice.
struct RootValues {
    HTAB *seen;
    Digest last; // rows of one root lie together
    ArrayBuildState *values;
    std::int64_t count;
    std::int64_t missing; // rows that refer to nobody
};

// In the current memory context; type: of the columns that are read.
RootValues make_root_values(Oid type);

// What one row refers to, of a column as described. Leaves memory in the current context.
void note_root(RootValues *roots, const FormData_pg_attribute *column, Datum value, bool is_null);

// An array of the values.
Datum array_of(const RootValues *roots);

} // namespace privacy_scan::retention
