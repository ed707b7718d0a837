// See index_plan.hpp.
#include "index/index_plan.hpp"

#include <algorithm>

namespace privacy_scan::index
{

namespace
{

// The index of a partitioned relation is not valid before those of all partitions are attached.
bool is_usable(const Site &site, const FoundIndex &index)
{
    return index.is_valid || site.is_partitioned;
}

bool is_remainder(const Site &site, const FoundIndex &index)
{
    return !is_usable(site, index) && index.parent == 0 && !index.is_of_constraint;
}

const FoundIndex *find(const Site &site, bool (*predicate)(const Site &, const FoundIndex &))
{
    const auto found = std::find_if(site.indexes.begin(), site.indexes.end(),
                                    [&](const FoundIndex &index) { return predicate(site, index); });
    return found == site.indexes.end() ? nullptr : &*found;
}

// What is attached to the parent's index is in the place of any other, valid or not.
bool is_in_place(const Site &site, const FoundIndex &index)
{
    return site.is_root ? is_usable(site, index) : index.parent == site.parent_index;
}

bool is_free(const Site &site, const FoundIndex &index)
{
    return is_usable(site, index) && index.parent == 0;
}

} // namespace

Step next_step(const Site &site)
{
    if (const FoundIndex *index = find(site, is_remainder))
        return {Action::drop, index->oid};
    if (const FoundIndex *index = find(site, is_in_place))
        return {Action::none, index->oid};
    if (const FoundIndex *index = find(site, is_free))
        return {Action::attach, index->oid};
    return {site.is_partitioned ? Action::create_parent : Action::build, 0};
}

} // namespace privacy_scan::index
