// The grid of an integer key: cells of one width, aligned at zero. Pure.
#pragma once

#include "partition/grid.hpp"

namespace privacy_scan::partition
{

class StepGrid : public Grid
{
  public:
    // step at least 1; cells lie within least .. most, the values of the key's type.
    StepGrid(std::int64_t step, std::int64_t least, std::int64_t most)
        : step_(step), least_(least), most_(most)
    {
    }

    std::optional<Cell> cell_at(std::int64_t value) const override;
    std::string suffix(std::int64_t lower) const override; // _1000000, _m1000000 below zero

  private:
    std::int64_t step_, least_, most_;
};

} // namespace privacy_scan::partition
