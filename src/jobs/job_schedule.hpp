// When a job starts: schedule and clock in, instant out. Pure: no catalog, no clock, no randomness of its
// own; where chance is wanted the caller gives a fraction from [0, 1).
//
// A schedule without an anchor counts elapsed time from 2000-01-01 00:00 UTC, whatever daylight saving does.
// One with an anchor counts on the clock of its zone: every 6 hours at 03:30 is 03:30, 09:30, 15:30 and 21:30
// of each of its days. A time that the clock skips comes at the first instant after the skip, one that it
// shows twice comes once.
#pragma once

#include "partition/time_grid.hpp"

namespace privacy_scan::jobs
{

using partition::Instant;
using partition::Zone;
using Micros = std::int64_t;

constexpr Micros one_second = 1000000;
constexpr Micros one_minute = 60 * one_second;
constexpr Micros one_hour = 60 * one_minute;
constexpr Micros one_day = 24 * one_hour;

constexpr unsigned every_day = 0x7f; // bit 0 is Monday, bit 6 Sunday

struct Schedule {
    Micros every = one_hour;
    std::optional<Micros> at;  // since local midnight: the anchor
    unsigned days = every_day; // on which the anchor counts; other than all only where every is at most a day
    Micros jitter = 0;         // added at random to each start, up to this
};

// What is wrong with the schedule, as an error's message; empty where nothing is.
std::string fault_of(const Schedule &schedule);

// The first slot after an instant, without jitter. The slots of the past are not counted: after an outage a
// job has one start, not one for each that it missed. The schedule has no fault.
Instant next_slot(const Schedule &schedule, const Zone &zone, Instant after);

// next_slot() with its share of the jitter.
Instant next_start(const Schedule &schedule, const Zone &zone, Instant after, double fraction);

// How long to wait after so many failures in a row (at least 1): a minute, doubled with each, at most an
// hour; of that at least three quarters, the rest by chance.
Micros backoff(std::int32_t failures, double fraction);

} // namespace privacy_scan::jobs
