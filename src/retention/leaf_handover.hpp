// The short part of whole_leaf.hpp: from the strong locks on.
#pragma once

#include "retention/leaf_choice.hpp"
#include "retention/leaf_pages.hpp"
#include "retention/refuge.hpp"

namespace privacy_scan::retention
{

// A leaf that is known to go, or to stay.
struct CheckedLeaf {
    const Leaf *leaf;
    std::optional<LeafPages> pages; // as they must still be; none: whatever comes to the leaf goes with it
    std::int64_t rows;              // of all, or about so many
    std::optional<RowTotal> total;  // none: they are counted and digested afterwards, where they lie (leaf_proof.hpp)
    std::optional<Refuge> refuge;   // of those that stay, where others go
    bool stays = false;             // none goes
};

// Locks, compares, detaches, attaches, in the order given: children before what they refer to. Returns the
// leaves' names in the archive, empty for one that stays; locked_ms: how long the strong locks
// were held until then. As the owner. Error: 55P03 where the locks could not be had in a few
// short tries, or where a leaf has changed.
std::vector<std::string> hand_over(pg::Spi &spi, const Work &work, const std::vector<ArchiveTable> &archives,
                                   const std::vector<CheckedLeaf> &leaves, double &locked_ms);

} // namespace privacy_scan::retention
