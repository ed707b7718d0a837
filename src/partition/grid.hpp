// A grid cuts an axis of 64-bit values into cells: instants for time keys, the values themselves for integer
// keys. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace privacy_scan::partition
{

// A half-open range on the axis.
struct Cell {
    std::int64_t lower; // inclusive
    std::int64_t upper; // exclusive
};

class Grid
{
  public:
    virtual ~Grid() = default;

    // The cell that holds the value; nothing where the grid ends before it.
    virtual std::optional<Cell> cell_at(std::int64_t value) const = 0;

    // The suffix of the name of the partition that starts at lower.
    virtual std::string suffix(std::int64_t lower) const = 0;
};

} // namespace privacy_scan::partition
