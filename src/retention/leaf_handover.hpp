// The short part of whole_leaf.hpp: from the strong locks on.
#pragma once

#include "retention/leaf_choice.hpp"
#include "retention/leaf_pages.hpp"
#include "retention/row_shape.hpp"

namespace privacy_scan::retention
{

// A leaf that was looked through.
struct CheckedLeaf {
    const Leaf *leaf;
    LeafPages pages;
    RowTotal total;
};

// Locks, compares, detaches, attaches, in the order given: children before what they refer to. Returns the
// leaves' names in the archive, empty for one without rows, which stays; locked_ms: how long the strong locks
// were held until then. As the owner. Error: 55P03 where the locks could not be had in a few
// short tries, or where a leaf has changed.
std::vector<std::string> hand_over(pg::Spi &spi, const Work &work, const std::vector<ArchiveTable> &archives,
                                   const std::vector<CheckedLeaf> &leaves, double &locked_ms);

} // namespace privacy_scan::retention
