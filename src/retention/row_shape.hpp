// Rows of one type as the digest sees them. Red code throughout: per row, no guard, no destructor.
#pragma once

#include "pg/postgres.hpp"

#include "retention/digest.hpp"

extern "C" {
#include <access/tupdesc.h>
}

namespace privacy_scan::retention
{

// Rows counted and digested. Trivial: the state of the aggregate row_digest(), too.
struct RowTotal {
    std::int64_t rows;
    std::int64_t bytes; // of the values, uncompressed
    Digest digest;
};

inline bool same_rows(const RowTotal &a, const RowTotal &b)
{
    return a.rows == b.rows && a.digest == b.digest;
}

inline RowTotal operator+(const RowTotal &a, const RowTotal &b)
{
    return {a.rows + b.rows, a.bytes + b.bytes, a.digest + b.digest};
}

inline RowTotal operator-(const RowTotal &a, const RowTotal &b)
{
    return {a.rows - b.rows, a.bytes - b.bytes, a.digest - b.digest};
}

// What is known of a row type before the first row.
struct RowShape {
    TupleDesc desc;
    int *order; // attribute numbers from 0, by name; dropped ones left out
    int columns;
    bool *is_enum; // whose OIDs differ between databases: hashed by their labels
    std::uint64_t *name_hash;
};

// Lives in the current memory context, as long as the descriptor does.
RowShape *make_row_shape(TupleDesc desc);

// Adds a row; values and nulls as the descriptor has them. Values stored compressed or out of line are
// fetched for their hash, and freed.
void add_row(RowTotal *total, const RowShape *shape, const Datum *values, const bool *nulls);

} // namespace privacy_scan::retention
