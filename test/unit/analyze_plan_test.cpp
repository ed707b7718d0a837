#include "monitor/analyze_plan.hpp"

#include <gtest/gtest.h>

using namespace privacy_scan::monitor;

namespace
{

// 10,000 rows under PostgreSQL's own settings: a threshold of 50 rows and a tenth of them.
TreeCounts parent(std::optional<std::int64_t> changes)
{
    return {true, changes, 10000, 50, 1000};
}

} // namespace

TEST(AnalyzePlan, DueBeyondTheThresholdNotAtIt)
{
    EXPECT_FALSE(is_analyze_due(parent(0)));
    EXPECT_FALSE(is_analyze_due(parent(1049)));
    EXPECT_FALSE(is_analyze_due(parent(1050)));
    EXPECT_TRUE(is_analyze_due(parent(1051)));
}

TEST(AnalyzePlan, BothPartsOfTheThresholdCount)
{
    EXPECT_TRUE(is_analyze_due({true, 51, 0, 50, 0}));
    EXPECT_FALSE(is_analyze_due({true, 50, 0, 50, 0}));
    EXPECT_TRUE(is_analyze_due({true, 1, 10000, 0, 0.5}));
    EXPECT_FALSE(is_analyze_due({true, 1, 10000, 0, 1}));
}

TEST(AnalyzePlan, DueWhereNobodyKnowsWhatChanged)
{
    EXPECT_TRUE(is_analyze_due(parent(std::nullopt)));
    EXPECT_TRUE(is_analyze_due({true, std::nullopt, 1, 50, 0}));
}

TEST(AnalyzePlan, AnEmptyTreeOfUnknownPastIsNot)
{
    EXPECT_FALSE(is_analyze_due({true, std::nullopt, 0, 50, 0}));
}

TEST(AnalyzePlan, APlainTableIsAutovacuumsBusiness)
{
    EXPECT_FALSE(is_analyze_due({false, 1000000, 10000, 50, 1000}));
    EXPECT_FALSE(is_analyze_due({false, std::nullopt, 10000, 50, 1000}));
}

TEST(AnalyzePlan, CountsBeyondInt32)
{
    EXPECT_TRUE(is_analyze_due({true, std::int64_t{1} << 40, std::int64_t{1} << 42, 50, 1e12}));
    EXPECT_FALSE(is_analyze_due({true, std::int64_t{1} << 39, std::int64_t{1} << 42, 50, 1e12}));
}
