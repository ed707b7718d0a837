// The grid: which instants bound the partitions of a policy. Pure: values in, values out; no catalog, no
// clock, no PostgreSQL header, so that it is proven by unit tests alone.
//
// An instant is a count of microseconds since 2000-01-01 00:00 UTC, as PostgreSQL's timestamptz has it.
// Calendar units (days and longer) begin at local midnight of the grid's zone; where the zone skips that
// midnight, at the first instant after the skip, and where it shows it twice, at the first showing. A
// calendar day that the zone skips entirely (Apia, 2011-12-30) has no cell. Minutes and hours are elapsed
// ones, counted in UTC: they have one width, whatever daylight saving does.
#pragma once

#include "partition/grid.hpp"

namespace privacy_scan::partition
{

using Instant = std::int64_t; // microseconds since 2000-01-01 00:00 UTC
using Seconds = std::int64_t; // seconds since 2000-01-01 00:00 UTC

constexpr Instant usecs_per_second = 1000000;

// Instants outside these bounds have no cell: years 0001 to 9999, the ones ISO 8601 writes with four digits.
extern const Instant first_instant; // 0001-01-01 00:00 UTC
extern const Instant last_instant;  // 9999-12-31 00:00 UTC, exclusive

// A stretch of time in which a zone keeps one offset from UTC.
struct ZoneStretch {
    Seconds until; // exclusive; INT64_MAX where the offset never changes again
    int offset;    // seconds east of UTC
};

// A time zone as the grid needs it. Implemented over PostgreSQL's zones in the server, over the C library's
// in the unit tests.
class Zone
{
  public:
    virtual ~Zone() = default;
    // A stretch that holds utc (until > utc); the next one may have the same offset.
    virtual ZoneStretch stretch_at(Seconds utc) const = 0;
};

// UTC itself: one stretch, offset zero. Used for dates and for what is shorter than a day.
const Zone &utc_zone();

enum class Unit { minute, hour, day, week, month, quarter, year };

// The width of a cell: count units, count at least 1.
struct Step {
    Unit unit;
    std::int64_t count;
};

// The step that an interval's three fields spell, in the largest unit that fits (3 months is a quarter,
// 14 days are 2 weeks). Nothing where it isn't a whole, positive number of one unit.
std::optional<Step> step_from_interval(std::int32_t months, std::int32_t days, std::int64_t usecs);

constexpr bool is_shorter_than_a_day(Unit unit)
{
    return unit == Unit::minute || unit == Unit::hour;
}

// "2 weeks", for messages and views.
std::string to_string(Step step);

class TimeGrid : public Grid
{
  public:
    // The zone must outlive the grid. Throws std::invalid_argument where the count is below 1.
    TimeGrid(Step step, const Zone &zone);

    // The cell that holds the instant; nothing where the cell isn't within first_instant .. last_instant.
    std::optional<Cell> cell_at(Instant instant) const override;

    // The suffix of the partition that starts at lower: _2025, _2025_q1, _2025_01, _2025_w01 (ISO week),
    // _2025_01_15, _2025_01_15_h06, _2025_01_15_h0630; finer than the step where lower isn't a bound of the grid, as it is where
    // a changed step begins in the middle of a cell: _2025_01_15_h063000 down to the second.
    std::string suffix(Instant lower) const override;

  private:
    Step step_;
    const Zone &zone_;
};

// The first instant at which the zone's clock shows local (microseconds since 2000-01-01 00:00, local) or
// later. Infinities (and what is within a week of them) are returned as they are, here and below.
Instant instant_of_local(const Zone &zone, std::int64_t local);

// What the zone's clock shows at an instant, in microseconds since 2000-01-01 00:00 local.
std::int64_t local_of_instant(const Zone &zone, Instant instant);

} // namespace privacy_scan::partition
