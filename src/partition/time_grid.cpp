// The grid, in the proleptic Gregorian calendar. A calendar unit is counted in days or in months on the
// zone's clock; only the last step, from a local midnight to an instant, asks the zone.
#include "partition/time_grid.hpp"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <stdexcept>

namespace privacy_scan::partition
{
namespace
{

constexpr Instant usecs_per_minute = 60 * usecs_per_second;
constexpr Instant usecs_per_hour = 60 * usecs_per_minute;
constexpr Instant usecs_per_day = 24 * usecs_per_hour;

constexpr std::int64_t floor_div(std::int64_t value, std::int64_t divisor)
{
    return value / divisor - (value % divisor < 0 ? 1 : 0);
}

constexpr std::int64_t floor_mod(std::int64_t value, std::int64_t divisor)
{
    const std::int64_t rest = value % divisor;
    return rest < 0 ? rest + divisor : rest;
}

struct Date {
    std::int64_t year;
    int month; // 1 to 12
    int day;   // 1 to 31
};

// Day number 0 is 2000-01-01. Both directions count in eras of 400 years that begin on 2000-03-01, so that
// the leap day is the last day of a year and the leap century the last of an era.
constexpr std::int64_t days_per_era = 146097;
constexpr std::int64_t days_to_march = 60;

constexpr std::int64_t day_from_date(Date date)
{
    const std::int64_t years = date.year - 2000 - (date.month <= 2 ? 1 : 0);
    const std::int64_t year_of_era = floor_mod(years, 400);
    const std::int64_t month = floor_mod(date.month - 3, 12);
    const std::int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;
    const std::int64_t day_of_era = 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return floor_div(years, 400) * days_per_era + day_of_era + days_to_march;
}

constexpr Date date_from_day(std::int64_t day)
{
    const std::int64_t days = day - days_to_march;
    const std::int64_t doe = floor_mod(days, days_per_era);
    const std::int64_t year_of_era = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const std::int64_t day_of_year = doe - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::int64_t month = (5 * day_of_year + 2) / 153;
    const std::int64_t year = 2000 + 400 * floor_div(days, days_per_era) + year_of_era;
    return {year + (month >= 10 ? 1 : 0), static_cast<int>(month < 10 ? month + 3 : month - 9),
            static_cast<int>(day_of_year - (153 * month + 2) / 5 + 1)};
}

constexpr std::int64_t first_day = day_from_date({1, 1, 1});
constexpr std::int64_t last_day = day_from_date({9999, 12, 31});

// 2000-01-03, from which weeks are counted.
constexpr std::int64_t first_monday = 2;

struct IsoWeek {
    std::int64_t year;
    int week;
};

// A week belongs to the year that holds its Thursday.
IsoWeek iso_week(std::int64_t day)
{
    const std::int64_t thursday = day - floor_mod(day - first_monday, 7) + 3;
    const std::int64_t year = date_from_day(thursday).year;
    return {year, static_cast<int>((thursday - day_from_date({year, 1, 1})) / 7 + 1)};
}

// A step in one of the three counts that the calendar needs: cells begin where (count - origin) is a multiple
// of width.
enum class Count { minutes, days, months };

struct Stride {
    Count count;
    std::int64_t width;
    std::int64_t origin;
};

Stride stride_of(Step step)
{
    // Wider than all of time in any unit, and far from overflow: a cell this wide has no bounds within reach.
    constexpr std::int64_t widest = std::int64_t{1} << 32;
    const std::int64_t count = std::min(step.count, widest);
    switch (step.unit) {
    case Unit::minute:
        return {Count::minutes, count, 0};
    case Unit::hour:
        return {Count::minutes, 60 * count, 0};
    case Unit::day:
        return {Count::days, count, 0};
    case Unit::week:
        return {Count::days, 7 * count, first_monday};
    case Unit::month:
        return {Count::months, count, 0};
    case Unit::quarter:
        return {Count::months, 3 * count, 0};
    case Unit::year:
        break;
    }
    return {Count::months, 12 * count, 0};
}

// The minute, day or month that the clock shows.
std::int64_t count_at(Count count, std::int64_t local)
{
    if (count == Count::minutes)
        return floor_div(local, usecs_per_minute);
    const std::int64_t day = floor_div(local, usecs_per_day);
    if (count == Count::days)
        return day;
    const Date date = date_from_day(day);
    return date.year * 12 + date.month - 1;
}

std::int64_t day_of_count(Count count, std::int64_t value)
{
    if (count == Count::minutes)
        return floor_div(value, 24 * 60);
    if (count == Count::days)
        return value;
    return day_from_date({floor_div(value, 12), static_cast<int>(floor_mod(value, 12)) + 1, 1});
}

// The instant at which a minute, day or month begins; nothing where the grid doesn't reach. The day is looked
// at first because the instant of a far one is no 64-bit number.
std::optional<Instant> bound_of(Count count, std::int64_t value, const Zone &zone)
{
    const std::int64_t day = day_of_count(count, value);
    if (day < first_day - 2 || day > last_day + 2)
        return std::nullopt;
    const std::int64_t local = count == Count::minutes ? value * usecs_per_minute : day * usecs_per_day;
    const Instant bound = instant_of_local(zone, local);
    if (bound < first_instant || bound > last_instant)
        return std::nullopt;
    return bound;
}

// Whether a clock's offset can be added or taken off. Only the infinities and what is as good as infinite
// can't; they stay what they are.
bool is_shiftable(std::int64_t usecs)
{
    constexpr std::int64_t margin = 7 * usecs_per_day;
    return usecs > std::numeric_limits<std::int64_t>::min() + margin &&
           usecs < std::numeric_limits<std::int64_t>::max() - margin;
}

class UtcZone : public Zone
{
  public:
    ZoneStretch stretch_at(Seconds) const override { return {std::numeric_limits<Seconds>::max(), 0}; }
};

const char *name_of(Unit unit)
{
    switch (unit) {
    case Unit::minute:
        return "minute";
    case Unit::hour:
        return "hour";
    case Unit::day:
        return "day";
    case Unit::week:
        return "week";
    case Unit::month:
        return "month";
    case Unit::quarter:
        return "quarter";
    case Unit::year:
        break;
    }
    return "year";
}

template <typename... Numbers> std::string format(const char *pattern, Numbers... numbers)
{
    char text[96];
    std::snprintf(text, sizeof text, pattern, static_cast<long long>(numbers)...);
    return text;
}

std::string day_suffix(std::int64_t local)
{
    const Date date = date_from_day(floor_div(local, usecs_per_day));
    return format("_%04lld_%02lld_%02lld", date.year, date.month, date.day);
}

std::string hour_suffix(std::int64_t local)
{
    return day_suffix(local) + format("_h%02lld", floor_mod(local, usecs_per_day) / usecs_per_hour);
}

std::string minute_suffix(std::int64_t local)
{
    return hour_suffix(local) + format("%02lld", floor_mod(local, usecs_per_hour) / usecs_per_minute);
}

std::string second_suffix(std::int64_t local)
{
    return minute_suffix(local) + format("%02lld", floor_mod(local, usecs_per_minute) / usecs_per_second);
}

std::string week_suffix(std::int64_t local)
{
    const IsoWeek iso = iso_week(floor_div(local, usecs_per_day));
    return format("_%04lld_w%02lld", iso.year, iso.week);
}

// The name of a whole unit, of which local is the beginning.
std::string unit_suffix(Unit unit, std::int64_t local)
{
    const Date date = date_from_day(floor_div(local, usecs_per_day));
    switch (unit) {
    case Unit::minute:
        return minute_suffix(local);
    case Unit::hour:
        return hour_suffix(local);
    case Unit::day:
        return day_suffix(local);
    case Unit::week:
        return week_suffix(local);
    case Unit::month:
        return format("_%04lld_%02lld", date.year, date.month);
    case Unit::quarter:
        return format("_%04lld_q%lld", date.year, (date.month + 2) / 3);
    case Unit::year:
        break;
    }
    return format("_%04lld", date.year);
}

} // namespace

const Instant first_instant = first_day * usecs_per_day;
const Instant last_instant = last_day * usecs_per_day;

const Zone &utc_zone()
{
    static const UtcZone zone;
    return zone;
}

std::optional<Step> step_from_interval(std::int32_t months, std::int32_t days, std::int64_t usecs)
{
    const int fields = (months != 0) + (days != 0) + (usecs != 0);
    if (fields != 1 || months < 0 || days < 0 || usecs < 0)
        return std::nullopt;
    if (months != 0 && months % 12 == 0)
        return Step{Unit::year, months / 12};
    if (months != 0)
        return months % 3 == 0 ? Step{Unit::quarter, months / 3} : Step{Unit::month, months};
    if (days != 0)
        return days % 7 == 0 ? Step{Unit::week, days / 7} : Step{Unit::day, days};
    if (usecs % usecs_per_hour == 0)
        return Step{Unit::hour, usecs / usecs_per_hour};
    if (usecs % usecs_per_minute == 0)
        return Step{Unit::minute, usecs / usecs_per_minute};
    return std::nullopt;
}

std::string to_string(Step step)
{
    return std::to_string(step.count) + " " + name_of(step.unit) + (step.count == 1 ? "" : "s");
}

// Walks the zone's stretches from an instant that lies before every showing of local: no offset is near 36
// hours. Within a stretch the clock runs evenly, so that the answer is where it reaches local, or the
// stretch's start where it begins beyond.
Instant instant_of_local(const Zone &zone, std::int64_t local)
{
    if (!is_shiftable(local))
        return local;
    Instant start = local - 36 * usecs_per_hour;
    for (;;) {
        const Seconds second = floor_div(start, usecs_per_second);
        const ZoneStretch stretch = zone.stretch_at(second);
        const Instant reached = std::max(start, local - stretch.offset * usecs_per_second);
        if (floor_div(reached, usecs_per_second) < stretch.until)
            return reached;
        start = stretch.until * usecs_per_second;
    }
}

std::int64_t local_of_instant(const Zone &zone, Instant instant)
{
    if (!is_shiftable(instant))
        return instant;
    return instant + zone.stretch_at(floor_div(instant, usecs_per_second)).offset * usecs_per_second;
}

TimeGrid::TimeGrid(Step step, const Zone &zone)
    : step_(step), zone_(is_shorter_than_a_day(step.unit) ? utc_zone() : zone)
{
    if (step.count < 1)
        throw std::invalid_argument("the count of a step must be at least 1");
}

// The clock's reading names the cell, except just after the clock went back over a midnight that it had
// already shown: the cells that had begun by then have begun for good.
std::optional<Cell> TimeGrid::cell_at(Instant instant) const
{
    if (instant < first_instant || instant >= last_instant)
        return std::nullopt;
    const auto [count, width, origin] = stride_of(step_);
    const std::int64_t shown = count_at(count, local_of_instant(zone_, instant)) - origin;
    std::int64_t next = (floor_div(shown, width) + 1) * width + origin;
    std::optional<Instant> lower = bound_of(count, next - width, zone_);
    std::optional<Instant> upper = bound_of(count, next, zone_);
    while (upper && *upper <= instant) {
        lower = upper;
        next += width;
        upper = bound_of(count, next, zone_);
    }
    if (!lower || !upper)
        return std::nullopt;
    return Cell{*lower, *upper};
}

std::string TimeGrid::suffix(Instant lower) const
{
    const std::int64_t local = local_of_instant(zone_, lower);
    const std::optional<Cell> cell = cell_at(lower);
    if (cell && cell->lower == lower)
        return unit_suffix(step_.unit, local);

    // A day begins where the grid would begin it, which isn't 00:00 where the zone skips that, and only the
    // first of two 00:00.
    if (bound_of(Count::days, count_at(Count::days, local), zone_) == lower)
        return day_suffix(local);
    return local % usecs_per_hour == 0 ? hour_suffix(local) : second_suffix(local);
}

} // namespace privacy_scan::partition
