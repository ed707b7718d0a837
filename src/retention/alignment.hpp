// Sets of a family that are partitioned alike: a row is in the partition with the bounds of its root's. A
// window of such partitions holds whole families, and can leave as one.
#pragma once

#include "retention/family.hpp"

namespace privacy_scan::retention
{

struct Alignment {
    // Of each member its partition key, unquoted, where it lines up with the root; empty where it doesn't.
    std::vector<std::string> keys;
    std::string obstacle; // why no partition of the root can go whole; empty: one can

    bool lines_up(std::size_t member) const { return !keys[member].empty(); }
};

// A member lines up where one foreign key makes it part of the family, to a member that does, which ties the
// one partition key to the other, both of the same type of PostgreSQL's own, collation and order: then a row
// that refers to a row of a partition is within the bounds of that partition, and PostgreSQL keeps rows
// within the bounds of a partition out of all others, DEFAULT included. What doesn't line up goes row by row
// with its roots, which suits plain tables; a set that is partitioned in another way is an obstacle.
Alignment read_alignment(pg::Spi &spi, const Family &family);

} // namespace privacy_scan::retention
