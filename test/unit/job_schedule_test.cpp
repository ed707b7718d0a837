// Schedules against slots that were worked out by hand, and against the C library's zones.
#include "jobs/job_schedule.hpp"
#include "test_zones.hpp"

#include <gtest/gtest.h>

namespace privacy_scan::jobs
{
namespace
{

using partition::instant_of;
using partition::libc_zone;
using partition::utc_zone;

Instant local(const Zone &zone, int year, int month, int day, int hour, int minute = 0)
{
    return partition::instant_of_local(zone, instant_of(year, month, day, hour, minute));
}

Schedule anchored(Micros every, Micros at, unsigned days = every_day)
{
    Schedule schedule;
    schedule.every = every;
    schedule.at = at;
    schedule.days = days;
    return schedule;
}

Schedule plain(Micros every)
{
    Schedule schedule;
    schedule.every = every;
    return schedule;
}

TEST(JobSchedule, PlainCountsElapsedTime)
{
    const Schedule five = plain(5 * one_minute);
    EXPECT_EQ(next_slot(five, utc_zone(), instant_of(2026, 1, 1, 12, 2, 30)), instant_of(2026, 1, 1, 12, 5));
    EXPECT_EQ(next_slot(five, utc_zone(), instant_of(2026, 1, 1, 12, 5)), instant_of(2026, 1, 1, 12, 10));
    EXPECT_EQ(next_slot(five, utc_zone(), instant_of(2026, 1, 1, 12, 5) - 1), instant_of(2026, 1, 1, 12, 5));
    EXPECT_EQ(next_slot(five, utc_zone(), instant_of(1999, 12, 31, 23, 58)), instant_of(2000, 1, 1));
}

TEST(JobSchedule, AfterAnOutageThereIsOneStart)
{
    const Instant now = instant_of(2026, 3, 1, 12);
    EXPECT_EQ(next_slot(anchored(one_day, 3 * one_hour), utc_zone(), now), instant_of(2026, 3, 2, 3));
    EXPECT_GT(next_slot(plain(one_second), utc_zone(), now), now);
}

TEST(JobSchedule, AnchorWithinTheDay)
{
    const Schedule six = anchored(6 * one_hour, 15 * one_hour + 30 * one_minute);
    Instant slot = instant_of(2026, 1, 1);
    for (int hour : {3, 9, 15, 21, 27}) {
        slot = next_slot(six, utc_zone(), slot);
        EXPECT_EQ(slot, instant_of(2026, 1, 1) + hour * one_hour + 30 * one_minute);
    }
    // What doesn't divide the day begins anew with each.
    const Schedule seven = anchored(7 * one_hour, 0);
    EXPECT_EQ(next_slot(seven, utc_zone(), instant_of(2026, 1, 1, 21)), instant_of(2026, 1, 2));
}

TEST(JobSchedule, DaysOfTheWeek)
{
    const Schedule weekend = anchored(one_day, 2 * one_hour, 1u << 5 | 1u << 6);
    EXPECT_EQ(next_slot(weekend, utc_zone(), instant_of(2026, 1, 1)), instant_of(2026, 1, 3, 2)); // Saturday
    EXPECT_EQ(next_slot(weekend, utc_zone(), instant_of(2026, 1, 3, 2)), instant_of(2026, 1, 4, 2));
    EXPECT_EQ(next_slot(weekend, utc_zone(), instant_of(2026, 1, 4, 2)), instant_of(2026, 1, 10, 2));
    const Schedule weekly = anchored(7 * one_day, 0);
    EXPECT_EQ(next_slot(weekly, utc_zone(), instant_of(2026, 1, 1)), instant_of(2026, 1, 5)); // Monday
    EXPECT_EQ(next_slot(weekly, utc_zone(), instant_of(2026, 1, 5)), instant_of(2026, 1, 12));
    const Schedule other = anchored(2 * one_day, 0);
    const Instant first = next_slot(other, utc_zone(), instant_of(2026, 1, 1));
    EXPECT_EQ(next_slot(other, utc_zone(), first), first + 2 * one_day);
}

TEST(JobSchedule, DaylightSaving)
{
    const Zone &berlin = libc_zone("Europe/Berlin");
    const Schedule daily = anchored(one_day, 2 * one_hour + 30 * one_minute);
    // 2026-03-29: 02:00 to 03:00 is skipped.
    EXPECT_EQ(next_slot(daily, berlin, instant_of(2026, 3, 28, 12)), instant_of(2026, 3, 29, 1));
    EXPECT_EQ(next_slot(daily, berlin, instant_of(2026, 3, 29, 1)), local(berlin, 2026, 3, 30, 2, 30));
    // 2026-10-25: 02:00 to 03:00 is shown twice.
    EXPECT_EQ(next_slot(daily, berlin, instant_of(2026, 10, 24, 12)), instant_of(2026, 10, 25, 0, 30));
    EXPECT_EQ(next_slot(daily, berlin, instant_of(2026, 10, 25, 0, 30)), instant_of(2026, 10, 26, 1, 30));
    // Elapsed time knows nothing of it.
    EXPECT_EQ(next_slot(plain(one_hour), berlin, instant_of(2026, 3, 29, 0, 59)), instant_of(2026, 3, 29, 1));
}

// Every slot of two years lies after the one before, shows the anchor unless the clock skipped it, and no day
// is left out.
TEST(JobSchedule, EveryDayHasItsSlot)
{
    for (const char *name : {"UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe",
                             "Pacific/Chatham", "Africa/Casablanca"}) {
        const Zone &zone = libc_zone(name);
        const Schedule daily = anchored(one_day, 2 * one_hour + 15 * one_minute);
        Instant slot = next_slot(daily, zone, instant_of(2025, 1, 1));
        for (int day = 0; day < 730; ++day) {
            const Instant next = next_slot(daily, zone, slot);
            EXPECT_GE(next - slot, 22 * one_hour) << name << " day " << day;
            EXPECT_LE(next - slot, 26 * one_hour) << name << " day " << day;
            EXPECT_EQ(partition::local_of_instant(zone, next) / one_day -
                          partition::local_of_instant(zone, slot) / one_day,
                      1)
                << name << " day " << day;
            slot = next;
        }
    }
}

TEST(JobSchedule, JitterIsAddedOnce)
{
    Schedule schedule = plain(5 * one_minute);
    schedule.jitter = one_minute;
    const Instant now = instant_of(2026, 1, 1, 12, 2);
    EXPECT_EQ(next_start(schedule, utc_zone(), now, 0), instant_of(2026, 1, 1, 12, 5));
    EXPECT_EQ(next_start(schedule, utc_zone(), now, 0.5), instant_of(2026, 1, 1, 12, 5, 30));
}

TEST(JobSchedule, BackoffDoublesAndIsBounded)
{
    EXPECT_EQ(backoff(1, 0), 45 * one_second);
    EXPECT_EQ(backoff(2, 0), 90 * one_second);
    EXPECT_EQ(backoff(3, 0), 180 * one_second);
    for (std::int32_t failures : {7, 8, 100, INT32_MAX})
        EXPECT_EQ(backoff(failures, 0), 45 * one_minute);
    EXPECT_GT(backoff(1, 0.999), 59 * one_second);
    EXPECT_LE(backoff(100, 0.999), one_hour);
}

TEST(JobSchedule, Faults)
{
    EXPECT_EQ(fault_of(plain(one_second)), "");
    EXPECT_EQ(fault_of(plain(366 * one_day)), "");
    EXPECT_NE(fault_of(plain(one_second - 1)), "");
    EXPECT_NE(fault_of(plain(366 * one_day + 1)), "");
    EXPECT_EQ(fault_of(anchored(one_day, one_day - 1)), "");
    EXPECT_NE(fault_of(anchored(one_day, one_day)), "");
    EXPECT_NE(fault_of(anchored(one_day, -1)), "");
    EXPECT_NE(fault_of(anchored(one_day + one_hour, 0)), "");
    EXPECT_EQ(fault_of(anchored(one_hour, 0, 1)), "");
    EXPECT_NE(fault_of(anchored(2 * one_day, 0, 1)), "");
    EXPECT_NE(fault_of(anchored(one_day, 0, 0)), "");
    Schedule schedule = plain(one_day);
    schedule.days = 1;
    EXPECT_NE(fault_of(schedule), "");
    schedule = plain(one_minute);
    schedule.jitter = one_minute;
    EXPECT_EQ(fault_of(schedule), "");
    schedule.jitter = one_minute + 1;
    EXPECT_NE(fault_of(schedule), "");
    schedule.jitter = -1;
    EXPECT_NE(fault_of(schedule), "");
}

} // namespace
} // namespace privacy_scan::jobs
