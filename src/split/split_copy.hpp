// Copying the rows of a source, as they were when the capture of changes began, to the pieces.
#pragma once

#include "partition/partition_policy.hpp"
#include "split/split_state.hpp"

namespace privacy_scan::split
{

// Copies the rows in `count` blocks of a source from `first` on, and returns how many they were. Left out are
// row versions that the capture has taken note of: so each row is copied once at most, although others update
// and delete meanwhile. Inside OwnerScope; the caller holds SHARE UPDATE EXCLUSIVE on the source. The copies
// are ordinary rows of this transaction, not handed to logical decoding: for others nothing has changed.
std::int64_t copy_blocks(const partition::PartitionSet &set, const State &state, Oid source,
                         std::int64_t first, std::int64_t count);

} // namespace privacy_scan::split
