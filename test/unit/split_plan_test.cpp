// Into which pieces a partition is split, and how fast.
#include "split/split_plan.hpp"

#include "partition/step_grid.hpp"
#include "partition/time_grid.hpp"

#include <gtest/gtest.h>

namespace privacy_scan::split
{

using partition::axis_max;
using partition::axis_min;
using partition::Cell;
using partition::StepGrid;

const StepGrid hundreds(100, -1000, 1000);

std::vector<std::pair<std::int64_t, std::int64_t>> tiles(const Cell &whole, std::int64_t least,
                                                         std::int64_t greatest, std::size_t most = 100)
{
    std::vector<std::pair<std::int64_t, std::int64_t>> found;
    for (const Cell &piece : tile(hundreds, whole, least, greatest, most))
        found.emplace_back(piece.lower, piece.upper);
    return found;
}

using Tiles = std::vector<std::pair<std::int64_t, std::int64_t>>;

TEST(SplitPlan, TilesAFiniteWhole)
{
    EXPECT_EQ(tiles({0, 300}, 0, 299), (Tiles{{0, 100}, {100, 200}, {200, 300}}));
}

TEST(SplitPlan, GivesWhatLiesBelowTheLeastKeyToTheFirst)
{
    EXPECT_EQ(tiles({axis_min, 300}, 150, 299), (Tiles{{axis_min, 200}, {200, 300}}));
    EXPECT_EQ(tiles({0, 300}, 250, 260), (Tiles{{0, 300}}));
}

TEST(SplitPlan, EndsWhereTheWholeDoesOffTheGrid)
{
    EXPECT_EQ(tiles({30, 250}, 30, 249), (Tiles{{30, 100}, {100, 200}, {200, 250}}));
}

TEST(SplitPlan, EndsWithTheCellOfTheGreatestKeyAtMaxvalue)
{
    EXPECT_EQ(tiles({axis_min, axis_max}, -5, 105), (Tiles{{axis_min, 0}, {0, 100}, {100, axis_max}}));
    EXPECT_EQ(tiles({0, axis_max}, 0, 0), (Tiles{{0, axis_max}}));
}

TEST(SplitPlan, GoesOnToTheEndWhereTheGridEndsBefore)
{
    EXPECT_EQ(tiles({850, axis_max}, 850, 5000), (Tiles{{850, 900}, {900, axis_max}}));
    EXPECT_EQ(tiles({axis_min, 0}, axis_min, 0), Tiles{});
}

TEST(SplitPlan, StopsAfterTheMost)
{
    EXPECT_EQ(tiles({0, 1000}, 0, 999, 2).size(), 2u);
}

TEST(SplitPlan, TilesWithoutAGap)
{
    for (std::int64_t lower : {axis_min, std::int64_t{-950}, std::int64_t{7}})
        for (std::int64_t upper : {std::int64_t{430}, std::int64_t{600}, axis_max}) {
            const std::vector<Cell> pieces =
                tile(hundreds, {lower, upper}, std::max(lower, std::int64_t{-999}), 555, 100);
            ASSERT_FALSE(pieces.empty());
            EXPECT_EQ(pieces.front().lower, lower);
            EXPECT_EQ(pieces.back().upper, upper);
            for (std::size_t i = 1; i < pieces.size(); ++i)
                EXPECT_EQ(pieces[i].lower, pieces[i - 1].upper);
        }
}

TEST(SplitPlan, RestsForWhatWasTooFast)
{
    EXPECT_DOUBLE_EQ(rest_ms(1024 * 1024, 0, 1024), 1000);
    EXPECT_DOUBLE_EQ(rest_ms(1024 * 1024, 400, 1024), 600);
    EXPECT_DOUBLE_EQ(rest_ms(1024 * 1024, 1400, 1024), 0);
    EXPECT_DOUBLE_EQ(rest_ms(1024 * 1024, 0, 0), 0);
}

} // namespace privacy_scan::split
