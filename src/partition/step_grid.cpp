// See step_grid.hpp.
#include "partition/step_grid.hpp"

namespace privacy_scan::partition
{

std::optional<Cell> StepGrid::cell_at(std::int64_t value) const
{
    std::int64_t lower, upper;
    std::int64_t index = value / step_ - (value % step_ < 0 ? 1 : 0);
    if (__builtin_mul_overflow(index, step_, &lower) || __builtin_add_overflow(lower, step_, &upper))
        return std::nullopt;
    if (lower < least_ || upper > most_)
        return std::nullopt;
    return Cell{lower, upper};
}

std::string StepGrid::suffix(std::int64_t lower) const
{
    std::string digits = std::to_string(lower);
    return digits[0] == '-' ? "_m" + digits.substr(1) : "_" + digits;
}

} // namespace privacy_scan::partition
