// The short part of whole_leaf.hpp: from the strong locks on.
#pragma once

#include "retention/leaf_choice.hpp"
#include "retention/leaf_pages.hpp"
#include "retention/refuge.hpp"

namespace privacy_scan::retention
{

// A leaf that was looked through.
struct CheckedLeaf {
    const Leaf *leaf;
    LeafPages pages;
    RowTotal total;               // of all its rows
    std::optional<Refuge> refuge; // of those that stay, where others go
    bool stays = false;           // none goes

    RowTotal going() const
    {
        return refuge ? RowTotal{total.rows - refuge->total.rows, total.bytes - refuge->total.bytes,
                                 total.digest - refuge->total.digest}
                      : total;
    }
};

// Locks, compares, detaches, attaches, in the order given: children before what they refer to. Returns the
// leaves' names in the archive, empty for one that stays; locked_ms: how long the strong locks
// were held until then. As the owner. Error: 55P03 where the locks could not be had in a few
// short tries, or where a leaf has changed.
std::vector<std::string> hand_over(pg::Spi &spi, const Work &work, const std::vector<ArchiveTable> &archives,
                                   const std::vector<CheckedLeaf> &leaves, double &locked_ms);

} // namespace privacy_scan::retention
