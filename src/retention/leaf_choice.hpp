// Which leaves of a family's partition sets may go whole, and why the others go row by row.
#pragma once

#include "retention/family_move.hpp"

namespace privacy_scan::retention
{

struct Leaf {
    pg::OwnedTable table;
    std::size_t member;   // index into Family::members
    std::string name;     // qualified, quoted as Member::leaves
    std::string bounds;   // as PostgreSQL writes them
    double rows;          // estimated
    std::string obstacle; // why it must go row by row, whatever its rows are; empty: it may go whole
    std::string key;      // the partition key, unquoted, where its set lines up with the root
    bool alone;           // may go with the roots that it refers to; otherwise with their partition
};

// Leaves with the same bounds in several members: they go together, with the roots that they refer to. The
// root's own leaf may be among them, as the last: then each member that lines up with the root
// (alignment.hpp) has one, children before parents, and whole families go.
struct Window {
    std::vector<Leaf> leaves;
    bool has_root() const { return leaves.back().member == 0; }
    const Leaf *find(std::size_t member) const; // null where there is none
};

// The leaves that have, with those of the same bounds, at least privacy_scan.retention_whole_rows rows,
// member by member, in the order of their bounds. Reads the catalog and sizes, no row. As the owner.
std::vector<Leaf> choose_leaves(pg::Spi &spi, const Work &work);

// The windows of whole families that have no obstacle.
std::vector<Window> family_windows(const std::vector<Leaf> &leaves);

// The leaves that may go with the roots that they refer to, by their bounds.
std::vector<Window> windows_of(const Work &work, const std::vector<Leaf> &leaves);

// True where all rows of a leaf of the root have expired. As the owner.
bool has_expired(pg::Spi &spi, const Work &work, const Leaf &leaf);

// Does a leaf seem to go with the roots that it refers to? By a look at few of its rows, spread over its ids; where only
// some of these belong to roots that have expired, those that don't are counted, up to what may stay. As the owner.
bool seems_to_go(pg::Spi &spi, const Work &work, const Leaf &leaf);

// All rows of a leaf, and those of them that belong to expired roots. As the owner.
struct LeafCount {
    std::int64_t rows, expired;
};
LeafCount count_leaf(pg::Spi &spi, const Work &work, const Leaf &leaf);

// Does a window with so many rows, a count for each leaf, go whole? Where rows stay, which the why says, they must be
// few enough to be moved out of the way (refuge.hpp). Of leaves that go with the roots that they refer to each is a
// window for this: it may go without the others. As the owner.
struct Verdict {
    bool goes;
    std::string why; // not; empty where no row stays
};
Verdict judge(pg::Spi &spi, const Work &work, const Window &window, const std::vector<LeafCount> &counts);

// Why no partition of the root goes whole: its roots are asked for several times there, and a function that
// looks at other rows may answer differently. As the owner.
std::string obstacle_in_conditions(const Work &work);

// Why the rows of a member, or of the root, cannot be left to whole leaves; empty: they can. Asked again once
// the archives are there and locked.
std::string obstacle_in_archive(pg::Spi &spi, const Member &member, Oid archive);

} // namespace privacy_scan::retention
