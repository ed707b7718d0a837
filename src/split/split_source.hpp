// A partition to be split: what it is, why not, and into what.
#pragma once

#include "partition/partition_policy.hpp"

namespace privacy_scan::split
{

struct Source {
    pg::OwnedTable table;
    std::string relname; // unquoted
    std::string name;    // qualified, quoted
    partition::PartitionSet set;
    partition::Cell bounds;
    std::int64_t heap_bytes, all_bytes; // with indexes and TOAST
};

// Errors: 42P01, 42501 not the owner, 42809 no partition of a managed set or its DEFAULT, 42704 not managed.
Source read_source(pg::Spi &spi, Oid relid);

struct Refusal {
    std::string message, detail, hint;
};
std::vector<Refusal> find_refusals(pg::Spi &spi, const Source &source);

// The cells that it falls into; one or none where there is nothing to split. Reads the smallest and largest
// key, with the owner's rights.
std::vector<partition::Cell> cells_of(pg::Spi &spi, const Source &source);

} // namespace privacy_scan::split
