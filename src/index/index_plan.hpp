// What is to be done next for one relation of an online index build. Pure: from what was read of the catalog
// to a step; no state is kept anywhere else, so that it does not matter where somebody stopped, or was
// stopped.
#pragma once

#include <cstdint>
#include <vector>

namespace privacy_scan::index
{

// An index of the relation with exactly the definition that is wanted.
struct FoundIndex {
    std::uint32_t oid;
    bool is_valid;
    bool is_of_constraint;
    std::uint32_t parent; // the index of the parent relation that it is a partition of; 0: none
};

struct Site {
    bool is_partitioned;
    bool is_root;               // of the build; what it is itself a partition of doesn't matter
    std::uint32_t parent_index; // what the index must become a partition of; 0 at the root
    std::vector<FoundIndex> indexes;
};

enum class Action {
    none,
    drop,          // the remainder of a build that was interrupted: of no use to anybody
    build,         // of a relation with rows
    create_parent, // of a partitioned relation, its partitions being left to themselves
    attach
};

struct Step {
    Action action;
    std::uint32_t index; // none: the one that is there; 0 where it is to be made
};

Step next_step(const Site &site);

} // namespace privacy_scan::index
