// What an online index build does next, from what it finds.
#include "index/index_plan.hpp"

#include <gtest/gtest.h>

namespace privacy_scan::index
{

bool operator==(const Step &a, const Step &b)
{
    return a.action == b.action && a.index == b.index;
}

constexpr FoundIndex valid{1, true, false, 0}, invalid{2, false, false, 0}, attached{3, true, false, 9};

TEST(IndexPlan, BuildsWhatIsMissing)
{
    EXPECT_EQ(next_step({false, true, 0, {}}), (Step{Action::build, 0}));
    EXPECT_EQ(next_step({true, true, 0, {}}), (Step{Action::create_parent, 0}));
    EXPECT_EQ(next_step({false, false, 9, {}}), (Step{Action::build, 0}));
}

TEST(IndexPlan, DropsTheRemainderFirstAlsoBesideAValidOne)
{
    EXPECT_EQ(next_step({false, true, 0, {invalid}}), (Step{Action::drop, 2}));
    EXPECT_EQ(next_step({false, true, 0, {valid, invalid}}), (Step{Action::drop, 2}));
    EXPECT_EQ(next_step({false, false, 9, {attached, invalid}}), (Step{Action::drop, 2}));
}

TEST(IndexPlan, NeverDropsWhatIsAttachedOrOfAConstraint)
{
    const FoundIndex attached_invalid{4, false, false, 9}, of_constraint{5, false, true, 0};
    EXPECT_EQ(next_step({false, false, 9, {attached_invalid}}), (Step{Action::none, 4}));
    EXPECT_EQ(next_step({false, true, 0, {of_constraint}}), (Step{Action::build, 0}));
}

TEST(IndexPlan, OfAPartitionedRelationTheIndexIsNotValidYet)
{
    EXPECT_EQ(next_step({true, true, 0, {invalid}}), (Step{Action::none, 2}));
    EXPECT_EQ(next_step({true, false, 9, {invalid}}), (Step{Action::attach, 2}));
}

TEST(IndexPlan, AttachesWhatIsFreeAndLeavesWhatIsAttachedElsewhere)
{
    EXPECT_EQ(next_step({false, false, 9, {valid}}), (Step{Action::attach, 1}));
    EXPECT_EQ(next_step({false, false, 9, {valid, attached}}), (Step{Action::none, 3}));
    EXPECT_EQ(next_step({false, false, 8, {attached}}), (Step{Action::build, 0}));
}

TEST(IndexPlan, WhatTheRootItselfIsAPartitionOfDoesNotMatter)
{
    EXPECT_EQ(next_step({false, true, 0, {attached}}), (Step{Action::none, 3}));
}

} // namespace privacy_scan::index
