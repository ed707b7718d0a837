// What partitions a relation has, read from the relation cache by their bounds, never by their names.
#pragma once

#include "partition/key_axis.hpp"
#include "partition/partition_plan.hpp"

extern "C" {
#include <access/attnum.h>
}

namespace privacy_scan::partition
{

// A range-partitioned relation's first key column; number 0 where there is none. Red. From the catalog, since
// the relation cache would evaluate an expression in the key, with functions of the owner's. Takes no lock.
struct PartitionKey {
    bool by_range;
    int columns;
    AttrNumber number;
    Oid type;
    Oid collation; // that the bounds are compared in
};
PartitionKey partition_key(Oid relid);

// How a relation is partitioned: what manage_partitions() checks and the others rely on.
struct PartitionKeyColumn {
    AttrNumber number;
    std::string name;
    Oid type;
    Oid collation;
};

// The single key column of a range-partitioned relation. Errors (each with a hint): 42809 wrong_object_type
// for every other kind of relation, 0A000 for several columns or an expression.
PartitionKeyColumn key_column(Oid relid);

struct Layout {
    std::vector<Cell> taken;     // ordered, disjoint; axis_min and axis_max for MINVALUE and MAXVALUE
    std::vector<Oid> partitions; // beside taken
    Oid default_partition = InvalidOid;
    // Of ids: the bounds as they are stored, and the first partition with one that the key's kind doesn't
    // give.
    std::vector<std::pair<std::string, std::string>> ids;
    Oid unaligned = InvalidOid;
};

// To be called once the lock is had that keeps others from attaching: the relation cache may still hold the
// bounds from before. Who reads them at the very moment somebody attaches can take note of the change before
// he stores what he had read, and PostgreSQL's own check of a new partition would then see no overlap either.
void refresh_layout(Oid relid);

// Takes ACCESS SHARE on the relation for the moment of the call, and no lock on its partitions.
Layout read_layout(Oid relid, const KeyAxis &key);

} // namespace privacy_scan::partition
