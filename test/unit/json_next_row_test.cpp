// Where the next row's document is expected.
#include "json/next_row.hpp"

#include <gtest/gtest.h>

namespace privacy_scan::json
{
namespace
{

char page[32768];

TEST(NextRow, LiesAsFarAwayAsTheOneBefore)
{
    NextRow next{};
    expect_next_row(page + 8000, next);
    EXPECT_EQ(next.step, 0u);
    expect_next_row(page + 7600, next);
    EXPECT_EQ(next.step, std::uintptr_t{0} - 400);
    expect_next_row(page + 7300, next);
    EXPECT_EQ(next.step, std::uintptr_t{0} - 300);
    expect_next_row(page + 7800, next);
    EXPECT_EQ(next.step, 500u);
}

TEST(NextRow, IsExpectedOnceAfterAJump)
{
    NextRow next{};
    expect_next_row(page + 8000, next);
    expect_next_row(page + 7600, next);
    EXPECT_EQ(next.first, reinterpret_cast<std::uintptr_t>(page + 8000));
    expect_next_row(page + 16000, next); // of another page: its next one is expected, too
    EXPECT_EQ(next.first, reinterpret_cast<std::uintptr_t>(page + 16000));
    EXPECT_EQ(next.step, 0u);
    expect_next_row(page + 24000, next); // no scan: nothing is
    EXPECT_EQ(next.step, 0u);
    EXPECT_EQ(next.last, reinterpret_cast<std::uintptr_t>(page + 24000));
}

} // namespace
} // namespace privacy_scan::json
