// See test_zones.hpp.
#include "test_zones.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <stdexcept>

namespace privacy_scan::partition
{
namespace
{

constexpr Seconds seconds_per_day = 86400;
constexpr Seconds forever = std::numeric_limits<Seconds>::max();

ZoneStretch stretch_among(const std::vector<ZoneStretch> &stretches, Seconds utc)
{
    const auto ends_later = [](Seconds at, const ZoneStretch &stretch) { return at < stretch.until; };
    return *std::upper_bound(stretches.begin(), stretches.end(), utc, ends_later);
}

} // namespace

Seconds seconds_of(int year, int month, int day, int hour, int minute, int second)
{
    std::tm time = {};
    time.tm_year = year - 1900;
    time.tm_mon = month - 1;
    time.tm_mday = day;
    time.tm_hour = hour;
    time.tm_min = minute;
    time.tm_sec = second;
    return timegm(&time) - seconds_1970_to_2000;
}

std::string format_time(const char *pattern, const std::tm &time)
{
    char text[64];
    return {text, std::strftime(text, sizeof text, pattern, &time)};
}

LibcZone::LibcZone(const std::string &name) : name_(name)
{
    const char *folder = std::getenv("TZDIR");
    if (!std::filesystem::exists(std::string(folder ? folder : "/usr/share/zoneinfo") + "/" + name))
        throw std::runtime_error("the system has no time zone " + name + ": install tzdata");

    const Seconds end = seconds_of(2045, 1, 1);
    for (Seconds day = seconds_of(1985, 1, 1); day < end; day += seconds_per_day) {
        if (offset_at(day) != offset_at(day + seconds_per_day))
            stretches_.push_back({change_between(day, day + seconds_per_day), offset_at(day)});
    }
    stretches_.push_back({forever, offset_at(end)});
}

ZoneStretch LibcZone::stretch_at(Seconds utc) const
{
    return stretch_among(stretches_, utc);
}

std::tm LibcZone::time_at(Seconds utc) const
{
    enter();
    const std::time_t time = utc + seconds_1970_to_2000;
    std::tm result = {};
    localtime_r(&time, &result);
    return result;
}

Seconds LibcZone::local_at(Seconds utc) const
{
    const std::tm time = time_at(utc);
    return seconds_of(time.tm_year + 1900, time.tm_mon + 1, time.tm_mday, time.tm_hour, time.tm_min,
                      time.tm_sec);
}

std::vector<Seconds> LibcZone::changes_within(Seconds from, Seconds until) const
{
    std::vector<Seconds> changes;
    const auto ends_before = [](const ZoneStretch &stretch, Seconds at) { return stretch.until < at; };
    auto stretch = std::lower_bound(stretches_.begin(), stretches_.end(), from, ends_before);
    for (; stretch->until < until; ++stretch)
        changes.push_back(stretch->until);
    return changes;
}

void LibcZone::enter() const
{
    static std::string entered;
    if (entered == name_)
        return;
    entered = name_;
    setenv("TZ", name_.c_str(), 1);
    tzset();
}

int LibcZone::offset_at(Seconds utc) const
{
    return static_cast<int>(time_at(utc).tm_gmtoff);
}

Seconds LibcZone::change_between(Seconds from, Seconds until) const
{
    const int before = offset_at(from);
    while (until - from > 1) {
        const Seconds middle = from + (until - from) / 2;
        (offset_at(middle) == before ? from : until) = middle;
    }
    return until;
}

const LibcZone &libc_zone(const std::string &name)
{
    static std::map<std::string, LibcZone> zones;
    return zones.try_emplace(name, name).first->second;
}

ZoneStretch TableZone::stretch_at(Seconds utc) const
{
    return stretch_among(stretches_, utc);
}

} // namespace privacy_scan::partition
