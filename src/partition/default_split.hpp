// Splitting the DEFAULT partition without moving a row out of anybody's sight.
#pragma once

#include "partition/partition_policy.hpp"

namespace privacy_scan::partition
{

// A table that takes over the rows of DEFAULT within its bounds.
struct SplitTarget {
    Cell bounds;
    Oid relid;             // unattached, empty, without indexes, made in this transaction
    std::int64_t rows = 0; // out: live rows taken over
};

// Writes the row versions of DEFAULT anew: those within a target's bounds to the target, the others to a new
// storage file of DEFAULT, whose indexes are rebuilt. Every version keeps its xmin, xmax and commit state (as
// CLUSTER does it), so that each snapshot, old ones too, goes on seeing each row exactly once wherever its
// query is routed; no trigger fires, no foreign key acts, nothing is decoded as deleted.
// The caller holds ACCESS EXCLUSIVE on the parent and on DEFAULT and attaches the targets afterwards, in the
// same transaction. Error 0A000 where DEFAULT isn't a plain heap table.
void split_default(const PartitionSet &set, Oid default_partition, std::vector<SplitTarget> &targets);

} // namespace privacy_scan::partition
