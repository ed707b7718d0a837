// The partitions in which a unique check looks for a key, and the index for it in each: kept by every backend
// until one of them, or which they are, changes. All red.
#pragma once

#include "pg/postgres.hpp"

extern "C" {
#include <access/skey.h>
}

namespace privacy_scan::unique
{

struct Leaf {
    Oid relid, index;
    ScanKeyData *keys; // one for each of the index's first columns, without a value
    int *columns;      // which of the check's columns each is
};

struct Leaves {
    Oid trigger; // on the root of the set; the key of the cache
    bool is_current;
    std::uint64_t version;
    MemoryContext memory; // of what follows
    Oid root;
    int width;           // columns of the check
    AttrNumber *numbers; // of them in the root
    int count;
    Leaf *leaves;
    int watched;
    Oid *watch; // all relations whose change makes it out of date
};

// Those of the check to which the trigger belongs, itself or as a clone; with all changes of the catalog that
// were made before a lock was released that we have had since. What changes later clears is_current; the
// pointer stays good until the next call. Error 55000 where a partition has no index for it.
const Leaves *current_leaves(Oid trigger);

} // namespace privacy_scan::unique
