// The pure decisions of an adoption.
#include "adopt/adopt_plan.hpp"

#include <gtest/gtest.h>

namespace privacy_scan::adopt
{

using partition::Step;
using partition::TimeGrid;
using partition::Unit;
using partition::utc_zone;

constexpr std::int64_t day = 24 * 3600 * partition::usecs_per_second;
constexpr std::int64_t january = 9132 * day; // 2025-01-01

TEST(AdoptPlan, RecommendsTheColumnOfTheMoment)
{
    EXPECT_FALSE(recommend_key({}));
    const std::vector<KeyChoice> columns = {{"finishedAt", false, false, false, {}},
                                            {"dueAt", true, false, false, {}},
                                            {"createdAt", true, true, false, {}}};
    ASSERT_EQ(recommend_key(columns), 2u);
    EXPECT_NE(why_key(columns, 2).find("Of 3 columns"), std::string::npos);
    EXPECT_NE(why_key(columns, 2).find("has a default"), std::string::npos);
}

TEST(AdoptPlan, RecommendsWhatIsInThePrimaryKeyBeforeAll)
{
    const std::vector<KeyChoice> columns = {{"made", true, true, false, {}}, {"at", true, false, true, {}}};
    EXPECT_EQ(recommend_key(columns), 1u);
    EXPECT_NE(why_key(columns, 1).find("primary key"), std::string::npos);
}

TEST(AdoptPlan, OfEqualsTheFirst)
{
    const std::vector<KeyChoice> columns = {{"a", false, true, false, {}}, {"b", false, true, false, {}}};
    EXPECT_EQ(recommend_key(columns), 0u);
    EXPECT_EQ(why_key({columns[0]}, 0), "It is the only column that holds a time.");
    EXPECT_NE(why_key(columns, 0).find("NULL so far"), std::string::npos);
}

TEST(AdoptPlan, RecommendsAPrimaryKeyThatCarriesTime)
{
    const KeyChoice time = {"createdAt", true, true, false, {}};
    auto id = [](double share, bool is_primary_key, bool sorts_by_time) {
        return KeyChoice{"id", true, false, is_primary_key,
                         IdFacts{"cuid", share, is_primary_key, sorts_by_time, 2}};
    };
    EXPECT_EQ(recommend_key({id(0.99, true, true), time}), 0u);
    const std::string why = why_key({id(0.99, true, true), time}, 0);
    EXPECT_NE(why.find("99 % of the ids"), std::string::npos);
    EXPECT_NE(why.find("(2)"), std::string::npos);
    // Too few that fit; not the primary key; a collation that sorts them otherwise.
    EXPECT_EQ(recommend_key({id(0.89, true, true), time}), 1u);
    EXPECT_EQ(recommend_key({id(1, false, true), time}), 1u);
    EXPECT_EQ(recommend_key({id(1, true, false), time}), 1u);
    EXPECT_EQ(why_key({id(1, true, false), time}, 1), "It is the only column that holds a time.");
    EXPECT_FALSE(recommend_key({id(0, true, true)}));
}

TEST(AdoptPlan, TheCutoverIsABoundAtLeastADayAhead)
{
    const TimeGrid months(Step{Unit::month, 1}, utc_zone());
    EXPECT_EQ(choose_cutover(months, january + 5 * day), january + 31 * day);
    // Exactly a day before the bound is enough, less isn't.
    EXPECT_EQ(choose_cutover(months, january + 30 * day), january + 31 * day);
    EXPECT_EQ(choose_cutover(months, january + 30 * day + 1), january + 59 * day);
    const TimeGrid hours(Step{Unit::hour, 6}, utc_zone());
    EXPECT_EQ(choose_cutover(hours, january + 1), january + day + day / 4);
    EXPECT_EQ(choose_cutover(hours, january), january + day);
}

TEST(AdoptPlan, NoCutoverWhereTheGridEnds)
{
    const TimeGrid months(Step{Unit::month, 1}, utc_zone());
    EXPECT_FALSE(choose_cutover(months, partition::last_instant));
}

TEST(AdoptPlan, TimesGrowWithTheHeap)
{
    EXPECT_DOUBLE_EQ(seconds_to_index(0), 0);
    EXPECT_GT(seconds_to_index(2e9), seconds_to_validate(2e9));
    EXPECT_NEAR(seconds_to_index(2e9), 8, 1);
}

} // namespace privacy_scan::adopt
