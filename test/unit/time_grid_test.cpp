// The grid against tables of known values: calendar, names, intervals, skipped and doubled days, the ends of
// time.
#include "test_zones.hpp"

#include <gtest/gtest.h>
#include <limits>
#include <stdexcept>

namespace privacy_scan::partition
{
namespace
{

constexpr Instant usecs_per_minute = 60 * usecs_per_second;
constexpr Instant usecs_per_hour = 60 * usecs_per_minute;
constexpr Instant usecs_per_day = 24 * usecs_per_hour;
constexpr Seconds forever = std::numeric_limits<Seconds>::max();
constexpr Instant earliest = std::numeric_limits<Instant>::min();
constexpr Instant latest = std::numeric_limits<Instant>::max();

Instant day_of(int year, int month, int day)
{
    return instant_of(year, month, day);
}

void expect_cell(Step step, const Zone &zone, Instant instant, Instant lower, Instant upper)
{
    const std::optional<Cell> cell = TimeGrid(step, zone).cell_at(instant);
    ASSERT_TRUE(cell) << to_string(step) << " at " << instant;
    EXPECT_EQ(cell->lower, lower) << to_string(step) << " at " << instant;
    EXPECT_EQ(cell->upper, upper) << to_string(step) << " at " << instant;
}

std::string suffix(Unit unit, Instant lower, const Zone &zone = utc_zone())
{
    return TimeGrid({unit, 1}, zone).suffix(lower);
}

TEST(TimeGrid, CountsSecondsFrom2000)
{
    EXPECT_EQ(day_of(2000, 1, 1), 0);
    EXPECT_EQ(first_instant, day_of(1, 1, 1));
    EXPECT_EQ(last_instant, day_of(9999, 12, 31));
    EXPECT_EQ(first_instant, -63082281600 * usecs_per_second);
    EXPECT_EQ(last_instant, 252455529600 * usecs_per_second);
}

TEST(TimeGrid, LeapYearsAndMonthEnds)
{
    const struct {
        int year, days_in_february;
    } years[] = {{2000, 29}, {1900, 28}, {2100, 28}, {2024, 29}, {2023, 28}, {1600, 29}, {4, 29}, {9996, 29}};
    const int days[] = {31, 0, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (const auto &[year, days_in_february] : years) {
        for (int month = 1; month <= 12; month++) {
            const int length = month == 2 ? days_in_february : days[month - 1];
            const Instant lower = day_of(year, month, 1);
            const Instant upper = lower + length * usecs_per_day;
            expect_cell({Unit::month, 1}, utc_zone(), upper - 1, lower, upper);
            expect_cell({Unit::day, 1}, utc_zone(), upper - 1, upper - usecs_per_day, upper);
        }
    }
}

TEST(TimeGrid, EveryMonthOfAllTimeAgreesWithTheCLibrary)
{
    const TimeGrid grid({Unit::month, 1}, utc_zone());
    Instant lower = first_instant;
    for (int month = 1; month < 9999 * 12; month++) {
        const Instant upper = day_of(1 + month / 12, 1 + month % 12, 1);
        const std::optional<Cell> cell = grid.cell_at(upper - 1);
        ASSERT_TRUE(cell) << month;
        ASSERT_EQ(cell->lower, lower) << month;
        ASSERT_EQ(cell->upper, upper) << month;
        lower = upper;
    }
}

TEST(TimeGrid, DaysOfAllTimeAreNamedAsTheCLibraryDoes)
{
    const TimeGrid days({Unit::day, 1}, utc_zone());
    const TimeGrid weeks({Unit::week, 1}, utc_zone());
    const LibcZone &utc = libc_zone("UTC");
    for (Instant day = first_instant + 7 * usecs_per_day; day < last_instant - 7 * usecs_per_day;
         day += 31 * usecs_per_day) {
        // glibc's %Y and %G don't fill up with zeros.
        const std::tm date = utc.time_at(day / usecs_per_second);
        const std::string year = std::to_string(10000 + date.tm_year + 1900).substr(1);
        ASSERT_EQ(days.suffix(day), "_" + year + format_time("_%m_%d", date));
        const Instant monday = weeks.cell_at(day)->lower;
        const std::tm first = utc.time_at(monday / usecs_per_second);
        ASSERT_EQ(first.tm_wday, 1);
        const int iso_year = std::stoi(format_time("%G", first));
        ASSERT_EQ(weeks.suffix(monday),
                  "_" + std::to_string(10000 + iso_year).substr(1) + format_time("_w%V", first));
    }
}

TEST(TimeGrid, IsoWeeksAtYearEnds)
{
    const struct {
        int year, month, day;
        const char *suffix;
    } mondays[] = {
        {1999, 12, 27, "_1999_w52"}, {2000, 1, 3, "_2000_w01"},   {2004, 12, 27, "_2004_w53"},
        {2005, 1, 3, "_2005_w01"},   {2005, 12, 26, "_2005_w52"}, {2007, 1, 1, "_2007_w01"},
        {2007, 12, 31, "_2008_w01"}, {2008, 12, 29, "_2009_w01"}, {2009, 12, 28, "_2009_w53"},
        {2010, 1, 4, "_2010_w01"},   {2012, 12, 31, "_2013_w01"}, {2015, 12, 28, "_2015_w53"},
        {2018, 12, 31, "_2019_w01"}, {2019, 12, 30, "_2020_w01"}, {2020, 12, 28, "_2020_w53"},
        {2021, 1, 4, "_2021_w01"},   {2024, 1, 1, "_2024_w01"},   {2024, 12, 23, "_2024_w52"},
        {2024, 12, 30, "_2025_w01"}, {2026, 12, 28, "_2026_w53"}, {1899, 12, 25, "_1899_w52"},
        {1900, 1, 1, "_1900_w01"},   {2099, 12, 28, "_2099_w53"}, {2100, 1, 4, "_2100_w01"},
    };
    for (const auto &[year, month, day, name] : mondays) {
        const Instant monday = day_of(year, month, day);
        expect_cell({Unit::week, 1}, utc_zone(), monday, monday, monday + 7 * usecs_per_day);
        expect_cell({Unit::week, 1}, utc_zone(), monday - 1, monday - 7 * usecs_per_day, monday);
        EXPECT_EQ(suffix(Unit::week, monday), name);
    }
}

TEST(TimeGrid, SeveralUnitsAlignToFixedOrigins)
{
    const Zone &utc = utc_zone();
    const Instant at = instant_of(2025, 8, 14, 15, 16, 17); // a Thursday
    expect_cell({Unit::hour, 6}, utc, at, instant_of(2025, 8, 14, 12), instant_of(2025, 8, 14, 18));
    expect_cell({Unit::minute, 1}, utc, -1, -usecs_per_minute, 0);
    expect_cell({Unit::minute, 15}, utc, instant_of(2025, 8, 14, 13, 59, 59), instant_of(2025, 8, 14, 13, 45),
                instant_of(2025, 8, 14, 14));
    expect_cell({Unit::minute, 7}, utc, 1, 0, 7 * usecs_per_minute);
    expect_cell({Unit::hour, 5}, utc, 1, 0, 5 * usecs_per_hour);
    expect_cell({Unit::hour, 5}, utc, -1, -5 * usecs_per_hour, 0);
    expect_cell({Unit::day, 2}, utc, 1, 0, day_of(2000, 1, 3));
    expect_cell({Unit::day, 2}, utc, -1, day_of(1999, 12, 30), 0);
    expect_cell({Unit::week, 1}, utc, at, day_of(2025, 8, 11), day_of(2025, 8, 18));
    expect_cell({Unit::week, 2}, utc, 0, day_of(1999, 12, 20), day_of(2000, 1, 3));
    expect_cell({Unit::week, 2}, utc, day_of(2000, 1, 10), day_of(2000, 1, 3), day_of(2000, 1, 17));
    expect_cell({Unit::month, 2}, utc, at, day_of(2025, 7, 1), day_of(2025, 9, 1));
    expect_cell({Unit::month, 5}, utc, 0, day_of(2000, 1, 1), day_of(2000, 6, 1));
    expect_cell({Unit::month, 5}, utc, -1, day_of(1999, 8, 1), day_of(2000, 1, 1));
    expect_cell({Unit::quarter, 1}, utc, at, day_of(2025, 7, 1), day_of(2025, 10, 1));
    expect_cell({Unit::quarter, 2}, utc, at, day_of(2025, 7, 1), day_of(2026, 1, 1));
    expect_cell({Unit::year, 2}, utc, at, day_of(2024, 1, 1), day_of(2026, 1, 1));
    expect_cell({Unit::year, 2}, utc, day_of(1999, 5, 5), day_of(1998, 1, 1), day_of(2000, 1, 1));
    expect_cell({Unit::year, 5}, utc, at, day_of(2025, 1, 1), day_of(2030, 1, 1));
}

TEST(TimeGrid, UnitsThatMeanTheSameHaveTheSameCells)
{
    const std::pair<Step, Step> pairs[] = {{{Unit::month, 3}, {Unit::quarter, 1}},
                                           {{Unit::month, 12}, {Unit::year, 1}},
                                           {{Unit::quarter, 8}, {Unit::year, 2}}};
    for (const auto &[small, large] : pairs) {
        for (Instant at = day_of(1995, 1, 1); at < day_of(2035, 1, 1); at += 11 * usecs_per_day) {
            const Cell cell = *TimeGrid(large, utc_zone()).cell_at(at);
            ASSERT_NO_FATAL_FAILURE(expect_cell(small, utc_zone(), at, cell.lower, cell.upper));
        }
    }
}

TEST(TimeGrid, SuffixOfABound)
{
    const Instant january = day_of(2025, 1, 1);
    EXPECT_EQ(suffix(Unit::year, january), "_2025");
    EXPECT_EQ(suffix(Unit::quarter, january), "_2025_q1");
    EXPECT_EQ(suffix(Unit::quarter, day_of(2025, 10, 1)), "_2025_q4");
    EXPECT_EQ(suffix(Unit::month, january), "_2025_01");
    EXPECT_EQ(suffix(Unit::month, day_of(2024, 12, 1)), "_2024_12");
    EXPECT_EQ(suffix(Unit::day, day_of(2024, 2, 29)), "_2024_02_29");
    EXPECT_EQ(suffix(Unit::hour, january), "_2025_01_01_h00");
    EXPECT_EQ(suffix(Unit::hour, january - usecs_per_hour), "_2024_12_31_h23");
    EXPECT_EQ(suffix(Unit::minute, january), "_2025_01_01_h0000");
    EXPECT_EQ(suffix(Unit::minute, january - usecs_per_minute), "_2024_12_31_h2359");
    EXPECT_EQ(suffix(Unit::year, day_of(33, 1, 1)), "_0033");
}

TEST(TimeGrid, SuffixBetweenBoundsIsFiner)
{
    const Instant noon = instant_of(2025, 1, 15, 12);
    for (Unit unit : {Unit::week, Unit::month, Unit::quarter, Unit::year}) {
        EXPECT_EQ(suffix(unit, day_of(2025, 1, 15)), "_2025_01_15");
        EXPECT_EQ(suffix(unit, noon), "_2025_01_15_h12");
        EXPECT_EQ(suffix(unit, instant_of(2025, 1, 15, 6, 30)), "_2025_01_15_h063000");
    }
    EXPECT_EQ(suffix(Unit::day, noon), "_2025_01_15_h12");
    EXPECT_EQ(suffix(Unit::day, instant_of(2025, 1, 15, 0, 0, 7)), "_2025_01_15_h000007");
    EXPECT_EQ(suffix(Unit::day, noon + 1), "_2025_01_15_h120000");
    EXPECT_EQ(suffix(Unit::hour, instant_of(1999, 1, 15, 23, 59, 59)), "_1999_01_15_h235959");
    EXPECT_EQ(TimeGrid({Unit::hour, 7}, utc_zone()).suffix(instant_of(2000, 1, 1, 8)), "_2000_01_01_h08");
    EXPECT_EQ(TimeGrid({Unit::hour, 7}, utc_zone()).suffix(day_of(2000, 1, 2)), "_2000_01_02");
    EXPECT_EQ(TimeGrid({Unit::month, 2}, utc_zone()).suffix(day_of(2025, 2, 1)), "_2025_02_01");
}

TEST(TimeGrid, SuffixIsLocalSaveForHours)
{
    const Zone &kathmandu = libc_zone("Asia/Kathmandu"); // 5:45 east
    const Instant midnight = instant_of(2024, 12, 31, 18, 15);
    EXPECT_EQ(suffix(Unit::year, midnight, kathmandu), "_2025");
    EXPECT_EQ(suffix(Unit::week, midnight, kathmandu), "_2025_01_01");
    EXPECT_EQ(suffix(Unit::year, midnight + 6 * usecs_per_hour, kathmandu), "_2025_01_01_h06");
    EXPECT_EQ(suffix(Unit::year, day_of(2025, 1, 1), kathmandu), "_2025_01_01_h054500");
    EXPECT_EQ(suffix(Unit::hour, day_of(2025, 1, 1), kathmandu), "_2025_01_01_h00");
    EXPECT_EQ(suffix(Unit::hour, midnight, kathmandu), "_2024_12_31_h181500");
}

// The clock goes from 24:00 to 01:00.
TEST(TimeGrid, SkippedMidnight)
{
    const Zone &zone = libc_zone("America/Sao_Paulo");
    const Instant skip = instant_of(2018, 11, 4, 3);
    expect_cell({Unit::day, 1}, zone, skip - 1, instant_of(2018, 11, 3, 3), skip);
    expect_cell({Unit::day, 1}, zone, skip, skip, instant_of(2018, 11, 5, 2));
    EXPECT_EQ(suffix(Unit::day, skip, zone), "_2018_11_04");
    EXPECT_EQ(suffix(Unit::month, skip, zone), "_2018_11_04");
}

// The clock goes from 00:01 back to 23:01: midnight is shown twice, and the first showing counts.
TEST(TimeGrid, DoubledMidnight)
{
    const Zone &zone = libc_zone("America/St_Johns");
    const Instant first = instant_of(2010, 11, 7, 2, 30);
    const Instant second = first + usecs_per_hour;
    expect_cell({Unit::day, 1}, zone, first - 1, instant_of(2010, 11, 6, 2, 30), first);
    for (Instant at : {first, first + 61 * usecs_per_second, second - 1, second})
        expect_cell({Unit::day, 1}, zone, at, first, instant_of(2010, 11, 8, 3, 30));
    EXPECT_EQ(suffix(Unit::month, first, zone), "_2010_11_07");
    EXPECT_EQ(suffix(Unit::month, second, zone), "_2010_11_07_h00");
}

void expect_no_day(const char *name, Instant skip, const char *before, const char *after)
{
    const Zone &zone = libc_zone(name);
    expect_cell({Unit::day, 1}, zone, skip - 1, skip - usecs_per_day, skip);
    expect_cell({Unit::day, 1}, zone, skip, skip, skip + usecs_per_day);
    EXPECT_EQ(suffix(Unit::day, skip - usecs_per_day, zone), before);
    EXPECT_EQ(suffix(Unit::day, skip, zone), after);
}

TEST(TimeGrid, SkippedDayHasNoCell)
{
    expect_no_day("Pacific/Apia", instant_of(2011, 12, 30, 10), "_2011_12_29", "_2011_12_31");
    expect_no_day("Pacific/Kwajalein", instant_of(1993, 8, 21, 12), "_1993_08_20", "_1993_08_22");
    expect_no_day("Pacific/Kiritimati", instant_of(1994, 12, 31, 10), "_1994_12_30", "_1995_01_01");
}

// Crossing the date line eastwards shows a whole day twice: it stays one cell, of two days.
TEST(TimeGrid, DoubledDayIsOneCell)
{
    const Instant change = instant_of(1995, 3, 2, 12);
    const TableZone zone({{change / usecs_per_second, 12 * 3600}, {forever, -12 * 3600}});
    const Instant lower = instant_of(1995, 3, 1, 12);
    const Instant upper = instant_of(1995, 3, 3, 12) + usecs_per_day;
    // 2 March is shown until its end, then again from its beginning; 3 March follows.
    expect_cell({Unit::day, 1}, zone, lower, lower, change + usecs_per_day);
    expect_cell({Unit::day, 1}, zone, change - 1, lower, change + usecs_per_day);
    expect_cell({Unit::day, 1}, zone, change, lower, change + usecs_per_day);
    expect_cell({Unit::day, 1}, zone, change + usecs_per_day, change + usecs_per_day, upper);
    EXPECT_EQ(suffix(Unit::day, lower, zone), "_1995_03_02");
    EXPECT_EQ(suffix(Unit::day, change + usecs_per_day, zone), "_1995_03_03");
}

// Two days are entered, then left again: cells of days that had begun stay begun.
TEST(TimeGrid, ClockThatGoesBackOverSeveralMidnights)
{
    const Instant change = instant_of(1995, 3, 5, 0, 30);
    const TableZone zone({{change / usecs_per_second, 0}, {forever, -25 * 3600}});
    const Instant upper = instant_of(1995, 3, 7, 1);
    expect_cell({Unit::day, 1}, zone, change - 1, day_of(1995, 3, 5), upper);
    expect_cell({Unit::day, 1}, zone, change, day_of(1995, 3, 5), upper);
    expect_cell({Unit::day, 1}, zone, upper, upper, upper + usecs_per_day);
}

TEST(TimeGrid, InstantOfLocal)
{
    const Zone &london = libc_zone("Europe/London");
    EXPECT_EQ(instant_of_local(utc_zone(), 12345), 12345);
    EXPECT_EQ(instant_of_local(london, instant_of(2025, 7, 1)), instant_of(2025, 6, 30, 23));
    // 01:00 to 02:00 skipped on 30 March, doubled on 26 October
    EXPECT_EQ(instant_of_local(london, instant_of(2025, 3, 30, 1, 30)), instant_of(2025, 3, 30, 1));
    EXPECT_EQ(instant_of_local(london, instant_of(2025, 10, 26, 1, 30)), instant_of(2025, 10, 26, 0, 30));
    EXPECT_EQ(instant_of_local(london, instant_of(2025, 10, 26, 1, 30) - 1),
              instant_of(2025, 10, 26, 0, 30) - 1);
    EXPECT_EQ(local_of_instant(london, instant_of(2025, 6, 30, 23)), instant_of(2025, 7, 1));
    EXPECT_EQ(local_of_instant(london, -1), -1);
}

TEST(TimeGrid, InfiniteInstantsStayInfinite)
{
    for (int offset : {-12 * 3600, 0, 14 * 3600}) {
        const TableZone zone({{forever, offset}});
        for (Instant instant : {earliest, latest}) {
            EXPECT_EQ(instant_of_local(zone, instant), instant);
            EXPECT_EQ(local_of_instant(zone, instant), instant);
        }
    }
}

const Unit all_units[] = {Unit::minute,  Unit::hour, Unit::day, Unit::week, Unit::month, Unit::quarter, Unit::year};

TEST(TimeGrid, FarInstantsHaveNoCell)
{
    for (Unit unit : all_units) {
        const TimeGrid grid({unit, 1}, libc_zone("America/New_York"));
        for (Instant instant :
             {earliest, earliest + 1, first_instant - 1, last_instant, latest - 1, latest}) {
            EXPECT_FALSE(grid.cell_at(instant)) << instant;
            EXPECT_FALSE(grid.suffix(instant).empty());
        }
    }
}

TEST(TimeGrid, CellsAtTheEndsOfTime)
{
    const Zone &utc = utc_zone();
    const Instant first = first_instant;
    const Instant last = last_instant;
    expect_cell({Unit::hour, 1}, utc, first, first, first + usecs_per_hour);
    expect_cell({Unit::day, 1}, utc, first, first, first + usecs_per_day);
    expect_cell({Unit::week, 1}, utc, first, first, first + 7 * usecs_per_day); // a Monday
    expect_cell({Unit::month, 1}, utc, first, first, day_of(1, 2, 1));
    expect_cell({Unit::year, 1}, utc, first, first, day_of(2, 1, 1));
    expect_cell({Unit::hour, 1}, utc, last - 1, last - usecs_per_hour, last);
    expect_cell({Unit::day, 1}, utc, last - 1, last - usecs_per_day, last);
    expect_cell({Unit::month, 1}, utc, day_of(9999, 11, 30), day_of(9999, 11, 1), day_of(9999, 12, 1));
    expect_cell({Unit::year, 1}, utc, day_of(9999, 1, 1) - 1, day_of(9998, 1, 1), day_of(9999, 1, 1));
}

TEST(TimeGrid, CellsThatReachBeyondTheEndsAreNone)
{
    const auto has_cell = [](Step step, Instant at, const Zone &zone = utc_zone()) {
        return TimeGrid(step, zone).cell_at(at).has_value();
    };
    EXPECT_FALSE(has_cell({Unit::month, 1}, day_of(9999, 12, 1)));
    EXPECT_FALSE(has_cell({Unit::year, 1}, day_of(9999, 1, 1)));
    EXPECT_FALSE(has_cell({Unit::year, 2}, first_instant)); // would begin in year 0
    EXPECT_FALSE(has_cell({Unit::week, 1}, last_instant - 1));
    const TableZone east({{forever, 14 * 3600}});
    EXPECT_FALSE(has_cell({Unit::day, 1}, first_instant, east));
    EXPECT_TRUE(has_cell({Unit::day, 1}, first_instant + 10 * usecs_per_hour, east));
    const TableZone west({{forever, -12 * 3600}});
    EXPECT_FALSE(has_cell({Unit::day, 1}, last_instant - 1, west));
    EXPECT_TRUE(has_cell({Unit::day, 1}, last_instant - 12 * usecs_per_hour - 1, west));
}

TEST(TimeGrid, HugeCountsDoNotOverflow)
{
    for (Unit unit : all_units) {
        for (std::int64_t count : {std::int64_t{1} << 32, (std::int64_t{1} << 32) + 1, latest}) {
            const TimeGrid grid({unit, count}, libc_zone("Pacific/Apia"));
            for (Instant instant :
                 {earliest, first_instant, Instant{-1}, Instant{1}, last_instant - 1, latest}) {
                EXPECT_FALSE(grid.cell_at(instant));
                EXPECT_FALSE(grid.suffix(instant).empty());
            }
        }
    }
    expect_cell({Unit::day, 2000000}, utc_zone(), 1, 0, 2000000 * usecs_per_day);
}

TEST(TimeGrid, RefusesAStepOfNothing)
{
    EXPECT_THROW(TimeGrid({Unit::day, 0}, utc_zone()), std::invalid_argument);
    EXPECT_THROW(TimeGrid({Unit::day, -1}, utc_zone()), std::invalid_argument);
}

TEST(Step, FromAnInterval)
{
    constexpr std::int32_t most = std::numeric_limits<std::int32_t>::max();
    const struct {
        std::int32_t months, days;
        std::int64_t usecs;
        const char *step;
    } intervals[] = {
        {1, 0, 0, "1 month"},
        {2, 0, 0, "2 months"},
        {3, 0, 0, "1 quarter"},
        {6, 0, 0, "2 quarters"},
        {10, 0, 0, "10 months"},
        {12, 0, 0, "1 year"},
        {15, 0, 0, "5 quarters"},
        {24, 0, 0, "2 years"},
        {most, 0, 0, "2147483647 months"},
        {most - 7, 0, 0, "178956970 years"},
        {0, 1, 0, "1 day"},
        {0, 6, 0, "6 days"},
        {0, 7, 0, "1 week"},
        {0, 14, 0, "2 weeks"},
        {0, 30, 0, "30 days"},
        {0, most, 0, "2147483647 days"},
        {0, 0, usecs_per_minute, "1 minute"},
        {0, 0, 90 * usecs_per_minute, "90 minutes"},
        {0, 0, usecs_per_hour, "1 hour"},
        {0, 0, 6 * usecs_per_hour, "6 hours"},
        {0, 0, 24 * usecs_per_hour, "24 hours"},
        {0, 0, 2562047788 * usecs_per_hour, "2562047788 hours"},
    };
    for (const auto &[months, days, usecs, step] : intervals) {
        const std::optional<Step> found = step_from_interval(months, days, usecs);
        ASSERT_TRUE(found) << step;
        EXPECT_EQ(to_string(*found), step);
    }
}

TEST(Step, FromNoInterval)
{
    constexpr std::int32_t least = std::numeric_limits<std::int32_t>::min();
    const struct {
        std::int32_t months, days;
        std::int64_t usecs;
    } intervals[] = {
        {0, 0, 0},
        {-1, 0, 0},
        {-12, 0, 0},
        {least, 0, 0},
        {0, -1, 0},
        {0, -7, 0},
        {0, least, 0},
        {0, 0, -usecs_per_hour},
        {0, 0, earliest},
        {1, 1, 0},
        {1, 0, usecs_per_hour},
        {0, 1, usecs_per_hour},
        {1, -1, 0},
        {1, 1, usecs_per_hour},
        {0, 0, 1},
        {0, 0, usecs_per_hour - 1},
        {0, 0, usecs_per_minute + 1},
        {0, 0, 90 * usecs_per_second},
        {0, 0, -usecs_per_minute},
        {0, 0, latest},
    };
    for (const auto &[months, days, usecs] : intervals)
        EXPECT_FALSE(step_from_interval(months, days, usecs)) << months << " " << days << " " << usecs;
}

} // namespace
} // namespace privacy_scan::partition
