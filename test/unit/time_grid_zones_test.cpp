// The grid against the C library's zones: forty years of every unit in every zone, each bound proven to be
// the first instant at which the zone's clock shows the grid's midnight or later.
#include "test_zones.hpp"

#include <gtest/gtest.h>
#include <unordered_set>

namespace privacy_scan::partition
{
namespace
{

const char *const zone_names[] = {
    "America/St_Johns",   "Australia/Lord_Howe",  "Pacific/Apia",
    "Antarctica/Troll",   "America/Sao_Paulo",    "Asia/Kathmandu",
    "Europe/London",      "Europe/Dublin",        "America/New_York",
    "Africa/Cairo",       "Asia/Tehran",          "Asia/Gaza",
    "Pacific/Kiritimati", "Pacific/Chatham",      "Africa/Casablanca",
    "America/Havana",     "Asia/Amman",           "Europe/Moscow",
    "America/Caracas",    "Asia/Pyongyang",       "UTC",
    "Pacific/Kwajalein",  "America/Scoresbysund",
};

Seconds first_second()
{
    return seconds_of(1995, 1, 1);
}
Seconds end_second()
{
    return seconds_of(2035, 1, 1);
}

std::int64_t floor_div(std::int64_t value, std::int64_t divisor)
{
    return value >= 0 ? value / divisor : -((-value + divisor - 1) / divisor);
}

// The number of units that the clock has shown since their origin.
std::int64_t units_shown(Unit unit, Seconds local)
{
    const std::time_t time = local + seconds_1970_to_2000;
    std::tm date = {};
    gmtime_r(&time, &date);
    const std::int64_t day = floor_div(local, 86400);
    const std::int64_t year = date.tm_year + 1900;
    switch (unit) {
    case Unit::minute:
        return floor_div(local, 60);
    case Unit::hour:
        return floor_div(local, 3600);
    case Unit::day:
        return day;
    case Unit::week: // from the Monday on or before the day, as tm_wday counts from Sunday
        return (day - (date.tm_wday + 6) % 7 - 2) / 7;
    case Unit::month:
        return year * 12 + date.tm_mon;
    case Unit::quarter:
        return year * 4 + date.tm_mon / 3;
    case Unit::year:
        break;
    }
    return year;
}

// What the clock shows when the number of units is reached.
Seconds start_of_unit(Unit unit, std::int64_t number)
{
    const int value = static_cast<int>(number);
    switch (unit) {
    case Unit::minute:
        return number * 60;
    case Unit::hour:
        return number * 3600;
    case Unit::day:
        return number * 86400;
    case Unit::week:
        return (number * 7 + 2) * 86400;
    case Unit::month:
        return seconds_of(value / 12, value % 12 + 1, 1);
    case Unit::quarter:
        return seconds_of(value / 4, value % 4 * 3 + 1, 1);
    case Unit::year:
        break;
    }
    return seconds_of(value, 1, 1);
}

std::int64_t index_of(Step step, Seconds local)
{
    return floor_div(units_shown(step.unit, local), step.count);
}

Seconds start_of(Step step, std::int64_t index)
{
    return start_of_unit(step.unit, index * step.count);
}

std::string expected_suffix(Unit unit, const std::tm &shown)
{
    switch (unit) {
    case Unit::minute:
        return format_time("_%Y_%m_%d_h%H%M", shown);
    case Unit::hour:
        return format_time("_%Y_%m_%d_h%H", shown);
    case Unit::day:
        return format_time("_%Y_%m_%d", shown);
    case Unit::week:
        return format_time("_%G_w%V", shown);
    case Unit::month:
        return format_time("_%Y_%m", shown);
    case Unit::quarter:
        return format_time("_%Y_q", shown) + std::to_string(shown.tm_mon / 3 + 1);
    case Unit::year:
        break;
    }
    return format_time("_%Y", shown);
}

// No instant before the bound shows the grid's date, not even before a clock went back; the bound itself is
// that midnight or the end of a skip.
void prove_bound(const LibcZone &clock, Step step, Seconds bound)
{
    const Seconds shown = clock.local_at(bound);
    const Seconds midnight = start_of(step, index_of(step, shown));
    ASSERT_LT(clock.local_at(bound - 1), midnight);
    for (Seconds change : clock.changes_within(bound - 2 * 86400, bound))
        ASSERT_LT(clock.local_at(change - 1), midnight);
    if (shown != midnight) {
        ASSERT_NE(clock.time_at(bound).tm_gmtoff, clock.time_at(bound - 1).tm_gmtoff);
    }
}

// The cell ends at the first instant that shows the next date or later: a clock shows its latest just before
// a change, so that those instants speak for all.
void prove_width(const LibcZone &clock, Step step, Seconds lower, Seconds upper)
{
    const Seconds next = start_of(step, index_of(step, clock.local_at(lower)) + 1);
    ASSERT_LT(clock.local_at(upper - 1), next);
    for (Seconds change : clock.changes_within(lower + 1, upper))
        ASSERT_LT(clock.local_at(change - 1), next);
    ASSERT_GE(clock.local_at(upper), next);
}

void expect_in_cell(const TimeGrid &grid, Instant instant, Cell cell)
{
    const std::optional<Cell> found = grid.cell_at(instant);
    ASSERT_TRUE(found);
    ASSERT_EQ(found->lower, cell.lower);
    ASSERT_EQ(found->upper, cell.upper);
}

void expect_all_in_cell(const LibcZone &clock, const TimeGrid &grid, Cell cell)
{
    ASSERT_NO_FATAL_FAILURE(expect_in_cell(grid, cell.lower + 1, cell));
    ASSERT_NO_FATAL_FAILURE(expect_in_cell(grid, cell.lower + (cell.upper - cell.lower) / 2, cell));
    ASSERT_NO_FATAL_FAILURE(expect_in_cell(grid, cell.upper - 1, cell));
    for (Seconds change :
         clock.changes_within(cell.lower / usecs_per_second + 1, cell.upper / usecs_per_second)) {
        ASSERT_NO_FATAL_FAILURE(expect_in_cell(grid, change * usecs_per_second - 1, cell));
        ASSERT_NO_FATAL_FAILURE(expect_in_cell(grid, change * usecs_per_second, cell));
    }
}

void prove_cell(const LibcZone &clock, Step step, const TimeGrid &grid, Cell cell)
{
    SCOPED_TRACE("cell from " + std::to_string(cell.lower));
    ASSERT_LT(cell.lower, cell.upper);
    ASSERT_EQ(cell.lower % usecs_per_second, 0);
    const Seconds lower = cell.lower / usecs_per_second;
    ASSERT_NO_FATAL_FAILURE(prove_bound(clock, step, lower));
    ASSERT_NO_FATAL_FAILURE(prove_width(clock, step, lower, cell.upper / usecs_per_second));
    ASSERT_NO_FATAL_FAILURE(expect_all_in_cell(clock, grid, cell));
    ASSERT_EQ(grid.suffix(cell.lower), expected_suffix(step.unit, clock.time_at(lower)));
}

// Each cell is asked for by the bound where the last one ended: that it begins there is what makes the grid
// contiguous.
void prove_grid(const LibcZone &clock, Step step, const TimeGrid &grid, Seconds from, Seconds until)
{
    std::unordered_set<std::string> names;
    std::optional<Cell> cell = grid.cell_at(from * usecs_per_second);
    ASSERT_TRUE(cell);
    while (cell->lower < until * usecs_per_second) {
        ASSERT_NO_FATAL_FAILURE(prove_cell(clock, step, grid, *cell));
        ASSERT_TRUE(names.insert(grid.suffix(cell->lower)).second) << grid.suffix(cell->lower);
        const std::optional<Cell> next = grid.cell_at(cell->upper);
        ASSERT_TRUE(next);
        ASSERT_EQ(next->lower, cell->upper);
        cell = next;
    }
}

class TimeGridInZone : public testing::TestWithParam<const char *>
{
  protected:
    void prove_forty_years(Unit unit, std::initializer_list<std::int64_t> counts)
    {
        const LibcZone &zone = libc_zone(GetParam());
        for (std::int64_t count : counts) {
            const Step step = {unit, count};
            SCOPED_TRACE(to_string(step));
            ASSERT_NO_FATAL_FAILURE(
                prove_grid(zone, step, TimeGrid(step, zone), first_second(), end_second()));
        }
    }
};

TEST_P(TimeGridInZone, Days)
{
    prove_forty_years(Unit::day, {1, 2, 5});
}
TEST_P(TimeGridInZone, Weeks)
{
    prove_forty_years(Unit::week, {1, 2, 5});
}
TEST_P(TimeGridInZone, Months)
{
    prove_forty_years(Unit::month, {1, 2, 5});
}
TEST_P(TimeGridInZone, Quarters)
{
    prove_forty_years(Unit::quarter, {1, 2, 5});
}
TEST_P(TimeGridInZone, Years)
{
    prove_forty_years(Unit::year, {1, 2, 5});
}

// Hours are the same in all zones: a sample of forty years here, every single one in UTC below.
TEST_P(TimeGridInZone, HoursIgnoreTheZone)
{
    const LibcZone &zone = libc_zone(GetParam());
    for (std::int64_t count : {1, 5, 6}) {
        const TimeGrid grid({Unit::hour, count}, zone);
        const TimeGrid grid_in_utc({Unit::hour, count}, utc_zone());
        for (Seconds at = first_second(); at < end_second(); at += 61 * 3600 + 1234) {
            const Instant width = count * 3600 * usecs_per_second;
            const Instant lower = floor_div(at * usecs_per_second, width) * width;
            ASSERT_NO_FATAL_FAILURE(expect_in_cell(grid, at * usecs_per_second, {lower, lower + width}));
            ASSERT_EQ(grid.suffix(lower), grid_in_utc.suffix(lower));
        }
    }
}

// Around each change of the clock, cell by cell, as that is where they could go wrong.
TEST_P(TimeGridInZone, HoursAndMinutesAroundChanges)
{
    const LibcZone &zone = libc_zone(GetParam());
    const LibcZone &utc = libc_zone("UTC");
    for (Seconds change : zone.changes_within(first_second(), end_second())) {
        for (Step step : {Step{Unit::minute, 1}, Step{Unit::minute, 7}, Step{Unit::minute, 15}, Step{Unit::hour, 1},
                          Step{Unit::hour, 2}, Step{Unit::hour, 5}, Step{Unit::hour, 6}}) {
            ASSERT_NO_FATAL_FAILURE(
                prove_grid(utc, step, TimeGrid(step, zone), change - 3 * 3600, change + 3 * 3600));
        }
    }
}

TEST_P(TimeGridInZone, InstantOfLocalInvertsLocalOfInstant)
{
    const LibcZone &zone = libc_zone(GetParam());
    for (Seconds at = first_second(); at < end_second(); at += 5 * 3600 + 677) {
        const std::int64_t local = local_of_instant(zone, at * usecs_per_second);
        ASSERT_EQ(local, zone.local_at(at) * usecs_per_second);
        const Instant first = instant_of_local(zone, local);
        ASSERT_LE(first, at * usecs_per_second);
        if (first != at * usecs_per_second) { // then the clock went back in between
            ASSERT_FALSE(zone.changes_within(first / usecs_per_second, at + 1).empty());
            ASSERT_EQ(zone.local_at(first / usecs_per_second), zone.local_at(at));
        }
    }
}

std::string name_of_test(const testing::TestParamInfo<const char *> &info)
{
    std::string name = info.param;
    for (char &c : name)
        c = c == '/' ? '_' : c;
    return name;
}

INSTANTIATE_TEST_SUITE_P(Zones, TimeGridInZone, testing::ValuesIn(zone_names), name_of_test);

TEST(TimeGridZones, AreAllInstalled)
{
    for (const char *name : zone_names)
        EXPECT_NO_THROW(libc_zone(name)) << name;
    EXPECT_THROW(libc_zone("Mars/Olympus_Mons"), std::runtime_error);
}

// A zone without its history would let the walks above pass without a test of anything.
TEST(TimeGridZones, HaveTheirHistory)
{
    const auto changes = [](const char *name) {
        return libc_zone(name).changes_within(first_second(), end_second()).size();
    };
    EXPECT_EQ(changes("UTC"), 0u);
    EXPECT_EQ(changes("Asia/Kathmandu"), 0u);
    EXPECT_EQ(changes("Europe/London"), 80u);
    EXPECT_EQ(changes("America/New_York"), 80u);
    EXPECT_GE(changes("Africa/Casablanca"), 60u); // none from 1995 to 2007
    EXPECT_GE(changes("Asia/Gaza"), 80u);
}

TEST(TimeGridZones, EveryHourOfFortyYears)
{
    const Step step = {Unit::hour, 1};
    const TimeGrid grid(step, libc_zone("America/St_Johns"));
    prove_grid(libc_zone("UTC"), step, grid, first_second(), end_second());
}

TEST(TimeGridZones, SeveralHoursForFortyYears)
{
    for (std::int64_t count : {5, 6, 24}) {
        const Step step = {Unit::hour, count};
        const TimeGrid grid(step, libc_zone("Australia/Lord_Howe"));
        prove_grid(libc_zone("UTC"), step, grid, first_second(), end_second());
    }
}

} // namespace
} // namespace privacy_scan::partition
