// Which partitions are missing: every case on a grid of tens, where a bound is easy to see.
#include "partition/partition_plan.hpp"
#include "partition/step_grid.hpp"

#include <gtest/gtest.h>

namespace privacy_scan::partition
{

static bool operator==(const Cell &a, const Cell &b) { return a.lower == b.lower && a.upper == b.upper; }
static std::ostream &operator<<(std::ostream &out, const Cell &cell)
{
    return out << '[' << cell.lower << ", " << cell.upper << ')';
}

namespace
{

using Cells = std::vector<Cell>;

const StepGrid tens(10, -1000, 1000);

Cells missing(const Cells &taken, std::int64_t from, std::int64_t to, std::size_t most = 100)
{
    return missing_pieces(tens, taken, from, to, most);
}

TEST(MissingPieces, AnEmptySetGetsWholeCellsFromTheCellOfTheStart)
{
    EXPECT_EQ(missing({}, 25, 50), (Cells{{20, 30}, {30, 40}, {40, 50}}));
}

TEST(MissingPieces, NothingWhereAllIsCovered)
{
    EXPECT_EQ(missing({{0, 100}}, 25, 50), Cells{});
    EXPECT_EQ(missing({{axis_min, axis_max}}, 25, 50), Cells{});
}

TEST(MissingPieces, AHoleIsFilled) { EXPECT_EQ(missing({{20, 30}, {40, 50}}, 25, 50), (Cells{{30, 40}})); }

TEST(MissingPieces, NewBoundsStartWhereOldOnesEnd)
{
    EXPECT_EQ(missing({{0, 33}}, 25, 50), (Cells{{33, 40}, {40, 50}}));
}

TEST(MissingPieces, APieceEndsWhereThePartitionAfterItBegins)
{
    EXPECT_EQ(missing({{37, 60}}, 30, 50), (Cells{{30, 37}}));
}

TEST(MissingPieces, ACellCutByAPartitionInItsMiddleGivesTwoPieces)
{
    EXPECT_EQ(missing({{33, 36}}, 30, 40), (Cells{{30, 33}, {36, 40}}));
}

TEST(MissingPieces, StopsAfterTheMost) { EXPECT_EQ(missing({}, 0, 1000, 2), (Cells{{0, 10}, {10, 20}})); }

TEST(MissingPieces, AnOpenLowerEndCounts) { EXPECT_EQ(missing({{axis_min, 20}}, 5, 40), (Cells{{20, 30}, {30, 40}})); }

TEST(MissingPieces, StopsWhereTheGridEnds) { EXPECT_EQ(missing({}, 985, axis_max), (Cells{{980, 990}, {990, 1000}})); }

TEST(MissingPieces, PiecesNeverOverlapAndTogetherFillTheRange)
{
    // Every set of partitions over [0, 30) whose bounds are multiples of 3: the pieces and the partitions
    // together cover [0, 30) exactly once.
    for (unsigned mask = 0; mask < 1u << 10; ++mask) {
        Cells taken;
        for (int i = 0; i < 10; ++i)
            if (mask >> i & 1)
                taken.push_back({3 * i, 3 * i + 3});
        std::vector<int> covered(30, 0);
        for (const Cells &cells : {taken, missing(taken, 0, 30)})
            for (const Cell &cell : cells)
                for (std::int64_t at = cell.lower; at < cell.upper; ++at)
                    ++covered[static_cast<std::size_t>(at)];
        EXPECT_EQ(covered, std::vector<int>(30, 1)) << "mask " << mask;
    }
}

TEST(FreePiece, IsTheUncoveredPartOfTheCellAroundTheValue)
{
    EXPECT_EQ(*free_piece(tens, {}, 35), (Cell{30, 40}));
    EXPECT_EQ(*free_piece(tens, {{30, 33}, {37, 50}}, 35), (Cell{33, 37}));
    EXPECT_FALSE(free_piece(tens, {{30, 40}}, 35));
    EXPECT_FALSE(free_piece(tens, {{30, 40}}, 30));
    EXPECT_EQ(*free_piece(tens, {{30, 40}}, 40), (Cell{40, 50}));
    EXPECT_FALSE(free_piece(tens, {}, 5000)); // beyond the grid
}

TEST(StepCells, WalksAndStopsAtTheEndsOfTheGrid)
{
    EXPECT_EQ(step_cells(tens, 35, 0), 30);
    EXPECT_EQ(step_cells(tens, 35, 2), 50);
    EXPECT_EQ(step_cells(tens, 35, -2), 10);
    EXPECT_EQ(step_cells(tens, 985, 100), 1000);
    EXPECT_EQ(step_cells(tens, -985, -100), -1000);
}

TEST(ResumePoint, IsWhereTheNewestPartitionBeforeTheClockEnded)
{
    EXPECT_EQ(resume_point({}, 55), 55);
    EXPECT_EQ(resume_point({{0, 30}}, 55), 30);
    EXPECT_EQ(resume_point({{0, 30}, {50, 60}}, 55), 55);
    EXPECT_EQ(resume_point({{0, 30}, {80, 90}}, 55), 30);
    EXPECT_EQ(resume_point({{80, 90}}, 55), 55);
}

TEST(StepGrid, AlignsAtZeroAndKnowsItsEnds)
{
    EXPECT_EQ(*tens.cell_at(0), (Cell{0, 10}));
    EXPECT_EQ(*tens.cell_at(-1), (Cell{-10, 0}));
    EXPECT_EQ(*tens.cell_at(-10), (Cell{-10, 0}));
    EXPECT_FALSE(tens.cell_at(1000));
    EXPECT_FALSE(StepGrid(INT64_MAX, INT64_MIN + 1, INT64_MAX - 1).cell_at(INT64_MAX));
    EXPECT_EQ(tens.suffix(-20), "_m20");
    EXPECT_EQ(tens.suffix(20), "_20");
}

} // namespace
} // namespace privacy_scan::partition
