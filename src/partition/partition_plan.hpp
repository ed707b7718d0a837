// Which partitions are missing: policy and layout in, bounds out. Pure.
#pragma once

#include "partition/grid.hpp"

#include <vector>

namespace privacy_scan::partition
{

// Bounds at the ends of the axis: MINVALUE and MAXVALUE.
constexpr std::int64_t axis_min = INT64_MIN;
constexpr std::int64_t axis_max = INT64_MAX;

// What the cells from the one that holds `from` to the one before `to` leave uncovered: whole cells, and the
// parts of cells that existing partitions reach into. taken: the existing ranges, ordered, disjoint. Stops
// after `most` pieces.
std::vector<Cell> missing_pieces(const Grid &grid, const std::vector<Cell> &taken, std::int64_t from,
                                 std::int64_t to, std::size_t most);

// The part of the value's cell around the value that no partition covers; nothing where one covers the value
// or the grid has no cell for it.
std::optional<Cell> free_piece(const Grid &grid, const std::vector<Cell> &taken, std::int64_t value);

// True where one of the existing ranges reaches into the piece.
bool overlaps(const std::vector<Cell> &taken, const Cell &piece);

// The value `count` cells after the cell of `from` (before it, where negative): the lower bound of that cell,
// or the end of the grid where it ends on the way.
std::int64_t step_cells(const Grid &grid, std::int64_t from, std::int64_t count);

// Where creating ahead begins: the clock's cell, or, where the newest partition that begins before the clock
// ended earlier, that end, so that an outage leaves no hole.
std::int64_t resume_point(const std::vector<Cell> &taken, std::int64_t clock);

} // namespace privacy_scan::partition
