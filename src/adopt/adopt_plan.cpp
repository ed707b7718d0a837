// See adopt_plan.hpp.
#include "adopt/adopt_plan.hpp"

#include <algorithm>

namespace privacy_scan::adopt
{

namespace
{

// Below zero: not by itself.
int merit(const KeyChoice &column)
{
    if (column.id)
        return column.id->is_primary_key && column.id->sorts_by_time && column.id->share >= least_share ? 8
                                                                                                        : -1;
    return 4 * column.in_primary_key + 2 * column.not_null + column.has_default;
}

std::string why_id(const IdFacts &id)
{
    std::string why = "It is the primary key, and " + std::to_string(static_cast<int>(id.share * 100)) +
                      " % of the ids in a sample carry their time (" + id.kind +
                      "). So the primary key stays as it is, with ON CONFLICT over it";
    if (id.referencing > 0)
        why += ", the foreign keys that refer to the table (" + std::to_string(id.referencing) + ")";
    return why + " and look-ups that read one partition.";
}

constexpr double bytes_indexed_per_second = 250e6;
constexpr double bytes_validated_per_second = 1100e6;
constexpr double bytes_joined_per_second = 250e6;

} // namespace

std::optional<std::size_t> recommend_key(const std::vector<KeyChoice> &columns)
{
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < columns.size(); ++i)
        if (merit(columns[i]) >= 0 && (!best || merit(columns[i]) > merit(columns[*best])))
            best = i;
    return best;
}

std::string why_key(const std::vector<KeyChoice> &columns, std::size_t chosen)
{
    const KeyChoice &column = columns[chosen];
    if (column.id)
        return why_id(*column.id);
    const auto times = std::count_if(columns.begin(), columns.end(), [](const auto &c) { return !c.id; });
    if (times == 1)
        return "It is the only column that holds a time.";
    const std::string first = "Of " + std::to_string(times) + " columns that hold a time it is the first";
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

double seconds_to_validate_key(double heap_bytes)
{
    return heap_bytes / bytes_joined_per_second;
}

} // namespace privacy_scan::adopt
