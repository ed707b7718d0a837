// Zones for the tests: the C library's, an oracle that shares no code with what it judges, and one spelt out
// by a table, for clocks that no zone has had.
#pragma once

#include "partition/time_grid.hpp"

#include <ctime>
#include <string>
#include <vector>

namespace privacy_scan::partition
{

// The C library counts from 1970.
constexpr Seconds seconds_1970_to_2000 = 946684800;

// Seconds since 2000-01-01 of a date and time in UTC, from the C library's calendar.
Seconds seconds_of(int year, int month, int day, int hour = 0, int minute = 0, int second = 0);

inline Instant instant_of(int year, int month, int day, int hour = 0, int minute = 0, int second = 0)
{
    return seconds_of(year, month, day, hour, minute, second) * usecs_per_second;
}

// As strftime does it.
std::string format_time(const char *pattern, const std::tm &time);

// A zone of the C library. Knows the changes from 1985 to 2045; before and after, the nearest offset goes on.
class LibcZone : public Zone
{
  public:
    // Throws where the system has no such zone: the C library would take it for UTC without a word.
    explicit LibcZone(const std::string &name);

    ZoneStretch stretch_at(Seconds utc) const override;

    // What localtime_r says, whatever the table of changes says.
    std::tm time_at(Seconds utc) const;
    Seconds local_at(Seconds utc) const;

    // The first seconds of new offsets in [from, until).
    std::vector<Seconds> changes_within(Seconds from, Seconds until) const;

  private:
    void enter() const;
    int offset_at(Seconds utc) const;
    Seconds change_between(Seconds from, Seconds until) const;

    std::string name_;
    std::vector<ZoneStretch> stretches_;
};

// The zone of that name, made once.
const LibcZone &libc_zone(const std::string &name);

class TableZone : public Zone
{
  public:
    explicit TableZone(std::vector<ZoneStretch> stretches) : stretches_(std::move(stretches)) {}
    ZoneStretch stretch_at(Seconds utc) const override;

  private:
    std::vector<ZoneStretch> stretches_;
};

} // namespace privacy_scan::partition
