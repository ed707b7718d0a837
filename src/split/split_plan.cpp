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

double rest_ms(std::int64_t bytes, double elapsed_ms, std::int64_t kb_per_second)
{
    if (kb_per_second <= 0)
        return 0;
    const double allowed_ms = static_cast<double>(bytes) / 1.024 / static_cast<double>(kb_per_second);
    return std::max(0.0, allowed_ms - elapsed_ms);
}

} // namespace privacy_scan::split
