// Watching DEFAULT: rows that landed there get partitions of their own.
#pragma once

#include "partition/partition_create.hpp"

namespace privacy_scan::partition
{

// Moves at most `batch` rows out of DEFAULT, whole cells at a time, in key order. Cells with more rows than
// that, and rows further from the clock than privacy_scan.partition_max_ahead cells, stay and are reported.
// Returns the rows moved. The caller holds SHARE UPDATE EXCLUSIVE on the parent.
//
// Locks, while the rows are rewritten: ACCESS EXCLUSIVE on the parent and DEFAULT, so that no query is
// planned with the old bounds and run with the new. Gives up (55P03) while serializable transactions depend
// on what they read in DEFAULT.
std::int64_t drain(pg::Spi &spi, const PartitionSet &set, std::int64_t clock, std::int64_t batch,
                   Actions &actions);

} // namespace privacy_scan::partition
