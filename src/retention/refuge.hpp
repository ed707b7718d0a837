// Rows that stay where all the others of a leaf go with it: they are copied to a table that takes the leaf's
// place, a refuge: held roots, say, or one that is running still, and what belongs to them.
//
// The copies are made while others read and write, and looked at by nobody; that the rows are still as they were is
// known by the comparison of the leaf's pages. Then, under the strong locks, the leaf goes, the rows are deleted
// there, and the refuge is attached with the leaf's bounds. No snapshot from before is left by then; so that one that
// is taken just before the commit sees the rows, too, the copies are as old as anything (row_stamp.hpp).
#pragma once

#include "partition/blueprint.hpp"
#include "retention/archive_table.hpp"
#include "retention/leaf_choice.hpp"
#include "retention/row_shape.hpp"

namespace privacy_scan::retention
{

// By what it costs, as reckoned, not measured: a row that goes row by row is written to the archive and to the log, and one
// that goes with its leaf is not; one that stays is written twice, and deleted under the strong locks, so that there is
// a limit for all.
constexpr std::int64_t goes_for_each_that_stays = 10;
constexpr std::int64_t most_that_stay = 1000; // in a window of whole families, or in a leaf that goes without the root's

constexpr bool are_few(std::int64_t stay, std::int64_t go)
{
    return stay <= most_that_stay && stay * goes_for_each_that_stays <= go;
}

// Why no other table can take the leaf's place; empty: one can.
std::string obstacle_to_refuge(pg::Spi &spi, const Member &member, const Leaf &leaf);

struct Refuge {
    Oid relid;
    std::string name;   // of the leaf, unquoted, which the refuge gets where it can
    std::string places; // of the rows in the leaf: an array of tid as text
    RowTotal total;     // of the rows
    std::string bounds; // of the leaf, as a condition
    partition::Blueprint blueprint;
};

// Which rows of a leaf stay: a condition over the alias t, and its parameters.
struct Staying {
    std::string condition;
    std::vector<pg::Param> params;
};

// Makes a refuge with copies of the rows of the leaf that stay. None where there is no such row. As the owner. Error: 55P03
// where the copies differ, since somebody writes.
std::optional<Refuge> make_refuge(pg::Spi &spi, const Work &work, const Leaf &leaf, const std::string &columns,
                                  const Staying &staying);

// Under the strong locks, once the leaf is none any more; gone: its name now, empty where it was dropped.
void settle(pg::Spi &spi, const Refuge &refuge, const Leaf &leaf, Oid set, const std::string &gone);

} // namespace privacy_scan::retention
