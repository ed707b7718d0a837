// See partition_plan.hpp.
#include "partition/partition_plan.hpp"

#include <algorithm>

namespace privacy_scan::partition
{

// The first existing range that ends after the value.
static std::vector<Cell>::const_iterator first_after(const std::vector<Cell> &taken, std::int64_t value)
{
    return std::upper_bound(taken.begin(), taken.end(), value,
                            [](std::int64_t v, const Cell &cell) { return v < cell.upper; });
}

std::vector<Cell> missing_pieces(const Grid &grid, const std::vector<Cell> &taken, std::int64_t from,
                                 std::int64_t to, std::size_t most)
{
    std::vector<Cell> pieces;
    std::optional<Cell> cell = grid.cell_at(from);
    std::int64_t at = cell ? cell->lower : to;
    while (at < to && pieces.size() < most) {
        auto next = first_after(taken, at);
        if (next != taken.end() && next->lower <= at) {
            at = next->upper;
            continue;
        }
        cell = grid.cell_at(at);
        if (!cell)
            break;
        std::int64_t upper = next == taken.end() ? cell->upper : std::min(cell->upper, next->lower);
        pieces.push_back({at, upper});
        at = upper;
    }
    return pieces;
}

std::optional<Cell> free_piece(const Grid &grid, const std::vector<Cell> &taken, std::int64_t value)
{
    std::optional<Cell> cell = grid.cell_at(value);
    auto next = first_after(taken, value);
    if (!cell || (next != taken.end() && next->lower <= value))
        return std::nullopt;
    if (next != taken.end())
        cell->upper = std::min(cell->upper, next->lower);
    if (next != taken.begin())
        cell->lower = std::max(cell->lower, std::prev(next)->upper);
    return cell;
}

bool overlaps(const std::vector<Cell> &taken, const Cell &piece)
{
    auto next = first_after(taken, piece.lower);
    return next != taken.end() && next->lower < piece.upper;
}

std::int64_t step_cells(const Grid &grid, std::int64_t from, std::int64_t count)
{
    std::optional<Cell> cell = grid.cell_at(from);
    while (cell && count != 0) {
        std::optional<Cell> next = grid.cell_at(count > 0 ? cell->upper : cell->lower - 1);
        if (!next)
            return count > 0 ? cell->upper : cell->lower;
        cell = next;
        count += count > 0 ? -1 : 1;
    }
    return cell ? cell->lower : from;
}

std::int64_t resume_point(const std::vector<Cell> &taken, std::int64_t clock)
{
    auto after =
        std::find_if(taken.rbegin(), taken.rend(), [=](const Cell &cell) { return cell.lower <= clock; });
    return after == taken.rend() ? clock : std::min(clock, after->upper);
}

} // namespace privacy_scan::partition
