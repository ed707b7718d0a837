// One pass over a leaf: its rows counted and digested, and the values by which they refer to their roots. Red
// code throughout: per row, no guard, no destructor.
#pragma once

#include "retention/root_values.hpp"
#include "retention/row_shape.hpp"

extern "C" {
#include <utils/rel.h>
}

namespace privacy_scan::retention
{

// What a pass is for.
struct ScanFor {
    bool digest;       // otherwise rows are counted alone, and read no further than the column
    RootValues *roots; // null where nobody asks for them, nor for the column
    AttrNumber column; // the one that refers to the root
};

// Adds the leaf's rows as the active snapshot sees them. Without a digest an index on the column does (leaf_index.hpp).
RowTotal scan_leaf(Relation leaf, const ScanFor &what);

} // namespace privacy_scan::retention
