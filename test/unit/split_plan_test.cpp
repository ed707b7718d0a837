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

struct Part {
    Cell bounds;
};

TEST(SplitPlan, FindsThePartThatHoldsAValue)
{
    const Part parts[] = {{{axis_min, 10}}, {{10, 20}}, {{20, 300}}};
    for (const auto &[at, part] : std::vector<std::pair<std::int64_t, std::size_t>>{
             {axis_min, 0}, {9, 0}, {10, 1}, {19, 1}, {20, 2}, {299, 2}, {axis_max, 2}})
        EXPECT_EQ(part_at(parts, 3, at), part) << at;
    EXPECT_EQ(part_at(parts, 1, 500), 0u);
}

// As "first+count: lower-upper ..", empty where all fit.
std::string misfit(const std::vector<Cell> &taken, std::size_t from = 0, std::size_t most = 100)
{
    const std::optional<Group> group = next_misfit(hundreds, taken, from, most, 100);
    if (!group)
        return {};
    std::string text = std::to_string(group->first) + "+" + std::to_string(group->count) + ":";
    for (const Cell &cell : group->cells)
        text += " " + std::to_string(cell.lower) + "-" + std::to_string(cell.upper);
    return text;
}

TEST(SplitPlan, LeavesWhatFits)
{
    EXPECT_EQ(misfit({}), "");
    EXPECT_EQ(misfit({{axis_min, 0}, {0, 100}, {100, 200}, {200, axis_max}}), "");
    EXPECT_EQ(misfit({{0, 50}, {60, 100}, {110, 200}}), ""); // with gaps between them
    EXPECT_EQ(misfit({{axis_min, 50}, {50, 100}, {100, 130}, {130, axis_max}}), "");
}

TEST(SplitPlan, FindsWhatIsToBeMerged)
{
    EXPECT_EQ(misfit({{0, 50}, {50, 100}}), "0+2: 0-100");
    EXPECT_EQ(misfit({{0, 100}, {100, 150}, {150, 180}, {180, 200}, {200, 300}}), "1+3: 100-200");
    EXPECT_EQ(misfit({{0, 50}, {50, 100}, {100, 150}, {150, 200}}, 2), "2+2: 100-200");
    EXPECT_EQ(misfit({{0, 30}, {30, 60}, {60, 100}}, 0, 3), "0+2: 0-60");
    EXPECT_EQ(misfit({{30, 50}, {50, 90}, {95, 100}}), "0+2: 30-90");
}

TEST(SplitPlan, FindsWhatIsToBeSplit)
{
    EXPECT_EQ(misfit({{0, 300}}), "0+1: 0-100 100-200 200-300");
    EXPECT_EQ(misfit({{0, 100}, {130, 230}}), "1+1: 130-200 200-230");
}

TEST(SplitPlan, FindsBothAtOnce)
{
    EXPECT_EQ(misfit({{0, 70}, {70, 140}, {140, 210}, {210, 300}}), "0+4: 0-100 100-200 200-300");
    EXPECT_EQ(misfit({{0, 70}, {70, 140}, {140, 210}, {210, 300}}, 0, 4), "0+2: 0-100 100-140");
}

TEST(SplitPlan, ComesToAnEnd)
{
    std::vector<Cell> taken;
    for (std::int64_t lower = -990; lower < 980; lower += 7)
        taken.push_back({lower, lower + 7});
    int rounds = 0;
    while (const std::optional<Group> group = next_misfit(hundreds, taken, 0, 5, 100)) {
        const auto at = taken.begin() + static_cast<std::ptrdiff_t>(group->first);
        const auto rest = taken.erase(at, at + static_cast<std::ptrdiff_t>(group->count));
        taken.insert(rest, group->cells.begin(), group->cells.end());
        ASSERT_LT(++rounds, 300);
    }
    EXPECT_EQ(taken.size(), 20u);
}

TEST(SplitPlan, RestsForWhatWasTooFast)
{
    EXPECT_DOUBLE_EQ(rest_ms(1024 * 1024, 0, 1024), 1000);
    EXPECT_DOUBLE_EQ(rest_ms(1024 * 1024, 400, 1024), 600);
    EXPECT_DOUBLE_EQ(rest_ms(1024 * 1024, 1400, 1024), 0);
    EXPECT_DOUBLE_EQ(rest_ms(1024 * 1024, 0, 0), 0);
}

} // namespace privacy_scan::split
