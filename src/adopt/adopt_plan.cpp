// See adopt_plan.hpp.
#include "adopt/adopt_plan.hpp"

namespace privacy_scan::adopt
{

namespace
{

int merit(const KeyChoice &column)
{
    return 4 * column.in_primary_key + 2 * column.not_null + column.has_default;
}

constexpr double bytes_indexed_per_second = 250e6;
constexpr double bytes_validated_per_second = 1100e6;

} // namespace

std::optional<std::size_t> recommend_key(const std::vector<KeyChoice> &columns)
{
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < columns.size(); ++i)
        if (!best || merit(columns[i]) > merit(columns[*best]))
            best = i;
    return best;
}

std::string why_key(const std::vector<KeyChoice> &columns, std::size_t chosen)
{
    if (columns.size() == 1)
        return "It is the only column that holds a time.";
    const KeyChoice &column = columns[chosen];
    const std::string first =
        "Of " + std::to_string(columns.size()) + " columns that hold a time it is the first";
    if (column.in_primary_key)
        return first + " in the primary key.";
    if (column.not_null && column.has_default)
        return first + " that is NOT NULL and has a default, as the time has at which a row was made.";
    if (column.not_null)
        return first + " that is NOT NULL.";
    return first + "; all may be NULL so far.";
}

std::optional<std::int64_t> choose_cutover(const partition::Grid &grid, std::int64_t now)
{
    const std::optional<partition::Cell> cell = grid.cell_at(now + least_lead - 1);
    if (!cell)
        return std::nullopt;
    return cell->upper;
}

double seconds_to_index(double heap_bytes)
{
    return heap_bytes / bytes_indexed_per_second;
}

double seconds_to_validate(double heap_bytes)
{
    return heap_bytes / bytes_validated_per_second;
}

} // namespace privacy_scan::adopt
