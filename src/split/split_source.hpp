// A stretch of adjacent partitions that becomes other ones: what it is, why not, and into what.
#pragma once

#include "partition/partition_policy.hpp"

namespace privacy_scan::split
{

struct Source {
    Oid relid;
    std::string relname; // unquoted
    std::string name;    // qualified, quoted
    partition::Cell bounds;
    std::int64_t all_bytes; // with indexes and TOAST
};

// Detaching one takes about a millisecond, under the locks of the switch, and so does attaching. Of a merge
// that somebody wants so, and of what is chosen by itself (a month of days fits): partitions, and those that
// they become.
constexpr int most_sources = 64;
constexpr int most_exchanged = 32;

struct Stretch {
    partition::PartitionSet set;
    std::vector<Source> sources; // ordered, adjacent

    Oid parent() const { return set.table().relid; }
    Oid owner() const { return set.table().owner; } // of the partitions, too: see find_refusals()
    partition::Cell bounds() const { return {sources.front().bounds.lower, sources.back().bounds.upper}; }
    std::vector<Oid> relids() const;
    std::int64_t all_bytes() const;
    std::string in_words() const; // partition "a", or partitions "a" to "z"
};

// Errors: 42P01, 42501 not the owner, 42809 no partition of a managed set or its DEFAULT, 42704 not managed,
// 22023 of several sets or not adjacent.
Stretch read_stretch(pg::Spi &spi, const std::vector<Oid> &relids);

struct Refusal {
    std::string message, detail, hint;
};
std::vector<Refusal> find_refusals(pg::Spi &spi, const Stretch &stretch);

// What of these may have come about since, of the partitioned relation. Error: 55000.
void require_fit(pg::Spi &spi, Oid parent);

struct Tiling {
    std::vector<partition::Cell> cells;
    std::optional<Refusal> refusal; // why not into these
};

// Where the cells don't cover the stretch, since they would be too many.
std::optional<Refusal> refuse_many(const Stretch &stretch, const std::vector<partition::Cell> &cells);

// Of one partition the cells of the grid that its rows fall into, of several one that is as wide as they are.
// Reads the smallest and largest key of the one, with the owner's rights.
Tiling tile_stretch(pg::Spi &spi, const Stretch &stretch);

} // namespace privacy_scan::split
