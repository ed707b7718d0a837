// See split_plan.hpp.
#include "split/split_plan.hpp"

#include <algorithm>

namespace privacy_scan::split
{

using partition::Cell;

std::vector<Cell> tile(const partition::Grid &grid, const Cell &whole, std::int64_t least,
                       std::int64_t greatest, std::size_t most)
{
    std::vector<Cell> pieces;
    std::int64_t lower = whole.lower;
    std::optional<Cell> cell = grid.cell_at(least);
    while (cell && pieces.size() < most) {
        const bool is_last =
            cell->upper >= whole.upper || (whole.upper == partition::axis_max && cell->upper > greatest);
        pieces.push_back({lower, is_last ? whole.upper : cell->upper});
        if (is_last)
            break;
        lower = cell->upper;
        cell = grid.cell_at(lower);
        if (!cell)
            pieces.back().upper = whole.upper; // the grid ends here
    }
    return pieces;
}

bool is_finite(const Cell &cell)
{
    return cell.lower != partition::axis_min && cell.upper != partition::axis_max;
}

namespace
{

// True where the partition goes on in the cell in which the one before it ends.
bool shares_cell(const partition::Grid &grid, const Cell &left, const Cell &right)
{
    const std::optional<Cell> cell = grid.cell_at(left.upper - 1);
    return left.upper == right.lower && is_finite(right) && cell && cell->upper > left.upper;
}

bool is_same(const std::vector<Cell> &cells, const Cell *taken, std::size_t count)
{
    return std::equal(cells.begin(), cells.end(), taken, taken + count,
                      [](const Cell &left, const Cell &right) {
                          return left.lower == right.lower && left.upper == right.upper;
                      });
}

} // namespace

std::optional<Group> next_misfit(const partition::Grid &grid, const std::vector<Cell> &taken,
                                 std::size_t from, std::size_t most, std::size_t most_cells)
{
    auto cells_of = [&](std::size_t first, std::size_t count) {
        const Cell whole{taken[first].lower, taken[first + count - 1].upper};
        return tile(grid, whole, whole.lower, whole.upper - 1, most_cells);
    };
    for (std::size_t first = from, count; first < taken.size(); first += count) {
        count = 1;
        if (!is_finite(taken[first]))
            continue;
        while (first + count < taken.size() &&
               shares_cell(grid, taken[first + count - 1], taken[first + count]) &&
               count + 1 + cells_of(first, count + 1).size() <= most)
            ++count;
        std::vector<Cell> cells = cells_of(first, count);
        if (!cells.empty() && !is_same(cells, &taken[first], count))
            return Group{first, count, std::move(cells)};
    }
    return std::nullopt;
}

double rest_ms(std::int64_t bytes, double elapsed_ms, std::int64_t kb_per_second)
{
    if (kb_per_second <= 0)
        return 0;
    const double allowed_ms = static_cast<double>(bytes) / 1.024 / static_cast<double>(kb_per_second);
    return std::max(0.0, allowed_ms - elapsed_ms);
}

} // namespace privacy_scan::split
