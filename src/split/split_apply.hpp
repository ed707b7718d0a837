// Bringing the pieces up to date with what changed in the sources since.
#pragma once

#include "partition/partition_policy.hpp"
#include "split/split_state.hpp"

namespace privacy_scan::split
{

// The number of changes that wait, counted up to `most`.
std::int64_t count_changes(const State &state, std::int64_t most);

// Applies the changes that were committed before the call, `most` at a time: all versions of a row of that
// key leave the pieces, and those that somebody may see come anew from the source, each with the
// visibility that it has there. Returns the number of keys. Can be repeated from any point, also after a
// crash: nothing is taken for applied before the transaction commits. Inside OwnerScope; the pieces have
// their indexes.
std::int64_t apply_changes(const partition::PartitionSet &set, const State &state, std::int64_t most);

} // namespace privacy_scan::split
