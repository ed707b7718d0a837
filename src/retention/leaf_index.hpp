// What a leaf's rows refer to, read from an index instead of the rows, of which it is a small part. Red code throughout.
#pragma once

#include "retention/root_values.hpp"

extern "C" {
#include <utils/rel.h>
}

namespace privacy_scan::retention
{

// The smallest B-tree index that has an entry for every row and begins with the column; InvalidOid where there is none, or
// none that is smaller than the leaf. The caller holds SHARE UPDATE EXCLUSIVE on the leaf, which keeps its indexes.
Oid index_on(Relation leaf, AttrNumber column);

// Number of the leaf's rows as the active snapshot sees them; what they refer to is noted. All entries are read as they
// lie there, none is looked for: an index whose order isn't right, since that of a collation has changed, misses none. Rows
// are looked at only on pages that aren't all-visible.
std::int64_t read_index(Relation leaf, Oid index, RootValues *roots);

} // namespace privacy_scan::retention
