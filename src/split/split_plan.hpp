// Into which pieces a partition is split, and how fast. Pure.
#pragma once

#include "partition/partition_plan.hpp"

namespace privacy_scan::split
{

// Tiles the whole with cells of the grid: the first piece begins where the whole does and ends with the cell
// of the least key, the last one ends where the whole does (where that is MAXVALUE: it begins with the cell
// of the greatest key). Empty where the grid has no cell for the least key; stops after `most` pieces, and
// then leaves a rest.
std::vector<partition::Cell> tile(const partition::Grid &grid, const partition::Cell &whole,
                                  std::int64_t least, std::int64_t greatest, std::size_t most);

bool is_finite(const partition::Cell &cell);

// Some of the partitions of a set, and the cells that they are to become.
struct Group {
    std::size_t first, count;
    std::vector<partition::Cell> cells;
};

// The next stretch, from one of the partitions (ordered, disjoint) on, that doesn't fit the grid: adjacent
// ones of which each ends within the cell in which the next one begins, where the cells that they fall into
// are others than they. Where they are several, at most so many partitions and cells together. Nothing where
// all fit; those without an end are left out.
std::optional<Group> next_misfit(const partition::Grid &grid, const std::vector<partition::Cell> &taken,
                                 std::size_t from, std::size_t most, std::size_t most_cells);

// Of the parts of a stretch, ordered and without a gap, the one that holds the value: the first that ends
// after it, or the last.
template <typename Part> std::size_t part_at(const Part *parts, std::size_t count, std::int64_t at)
{
    std::size_t low = 0, high = count - 1;
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        if (parts[middle].bounds.upper <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// How long to rest after so many bytes in so many milliseconds, so that the rate (KB/s; 0: none) is kept.
double rest_ms(std::int64_t bytes, double elapsed_ms, std::int64_t kb_per_second);

} // namespace privacy_scan::split
