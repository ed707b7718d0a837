// One pass over a leaf: its rows counted and digested, and the values by which they refer to their roots. Red
// code throughout: per row, no guard, no destructor.
#pragma once

#include "retention/row_shape.hpp"

extern "C" {
#include <utils/hsearch.h>
#include <utils/array.h>
#include <utils/rel.h>
}

namespace privacy_scan::retention
{

// What several leaves refer to. Values are told apart by their bytes; equal ones of different bytes come
// twice.
struct RootValues {
    HTAB *seen;
    ArrayBuildState *values;
    std::int64_t count;
    std::int64_t missing; // rows that refer to nobody
};

// In the current memory context.
RootValues make_root_values(Oid type);

// What a pass is for.
struct ScanFor {
    bool digest;       // otherwise rows are counted alone, and read no further than the column
    RootValues *roots; // null where nobody asks for them, nor for the column
    AttrNumber column; // the one that refers to the root
};

// Adds the leaf's rows as the active snapshot sees them.
RowTotal scan_leaf(Relation leaf, const ScanFor &what);

// An array of the values.
Datum array_of(const RootValues *roots);

} // namespace privacy_scan::retention
