// See job_schedule.hpp.
#include "jobs/job_schedule.hpp"

#include <algorithm>

namespace privacy_scan::jobs
{

namespace
{

constexpr Micros shortest = one_second;
constexpr Micros longest = 366 * one_day;
constexpr Micros first_backoff = one_minute;
constexpr Micros longest_backoff = one_hour;
constexpr std::int64_t first_monday = 2; // days after 2000-01-01

std::int64_t floor_div(std::int64_t value, std::int64_t divisor)
{
    return value / divisor - (value % divisor < 0 ? 1 : 0);
}

std::int64_t floor_mod(std::int64_t value, std::int64_t divisor)
{
    return value - floor_div(value, divisor) * divisor;
}

// A day is counted from Monday 2000-01-03, so that every 7 days is every Monday.
bool counts(const Schedule &schedule, std::int64_t day)
{
    const std::int64_t since_monday = day - first_monday;
    if (!(schedule.days >> floor_mod(since_monday, 7) & 1))
        return false;
    return floor_mod(since_monday, std::max<std::int64_t>(1, schedule.every / one_day)) == 0;
}

Instant next_anchored(const Schedule &schedule, const Zone &zone, Instant after)
{
    const Micros step = std::min(schedule.every, one_day);
    const Micros first = *schedule.at % step;
    // From the day before: a skip may put the last slot of a day past midnight.
    const std::int64_t today = floor_div(partition::local_of_instant(zone, after), one_day);
    for (std::int64_t day = today - 1;; ++day) {
        if (!counts(schedule, day))
            continue;
        for (Micros time = first; time < one_day; time += step) {
            const Instant slot = partition::instant_of_local(zone, day * one_day + time);
            if (slot > after)
                return slot;
        }
    }
}

} // namespace

std::string fault_of(const Schedule &schedule)
{
    if (schedule.every < shortest || schedule.every > longest)
        return "argument \"every\" must be between 1 second and 366 days";
    if (schedule.jitter < 0 || schedule.jitter > schedule.every)
        return "argument \"jitter\" must be between 0 and the interval itself";
    if (schedule.at && (*schedule.at < 0 || *schedule.at >= one_day))
        return "argument \"at\" must be a time of the day";
    if (schedule.at && schedule.every > one_day && schedule.every % one_day != 0)
        return "argument \"every\" must be whole days where it is longer than one and \"at\" is given";
    if (!schedule.at && schedule.days != every_day)
        return "argument \"days\" needs \"at\"";
    if (schedule.days == 0 || schedule.days > every_day)
        return "argument \"days\" must name a day";
    if (schedule.days != every_day && schedule.every > one_day)
        return "argument \"every\" must be at most one day where \"days\" is given";
    return {};
}

Instant next_slot(const Schedule &schedule, const Zone &zone, Instant after)
{
    if (schedule.at)
        return next_anchored(schedule, zone, after);
    return (floor_div(after, schedule.every) + 1) * schedule.every;
}

Instant next_start(const Schedule &schedule, const Zone &zone, Instant after, double fraction)
{
    return next_slot(schedule, zone, after) +
           static_cast<Micros>(fraction * static_cast<double>(schedule.jitter));
}

Micros backoff(std::int32_t failures, double fraction)
{
    const int doublings = std::clamp(failures - 1, 0, 10);
    const Micros most = std::min(first_backoff << doublings, longest_backoff);
    return most / 4 * 3 + static_cast<Micros>(fraction * static_cast<double>(most / 4));
}

} // namespace privacy_scan::jobs
