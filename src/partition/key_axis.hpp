// A partition key's type as an axis of 64-bit values, and back: the one place that knows what a key looks
// like.
#pragma once

#include "partition/time_grid.hpp"
#include "pg/postgres.hpp"

#include <memory>

namespace privacy_scan::partition
{

// A zone of PostgreSQL's own.
std::unique_ptr<Zone> open_zone(const std::string &name); // error 22023 where unknown

class KeyAxis
{
  public:
    // Error 0A000 for a type that can't be a key.
    KeyAxis(Oid type, const Zone &zone);

    Oid type() const { return type_; }
    bool is_temporal() const;

    // A value of the key on the axis: instants of timestamp (in UTC) and timestamptz, midnight UTC of a date,
    // the value of an integer. Infinities are the ends of the axis.
    std::int64_t axis_of(Datum value) const;
    // The other way, for finite values of the axis that the grid made.
    Datum value_of(std::int64_t axis) const;

    // Where the clock stands on the axis (a date: the day that the zone's calendar shows). Temporal keys
    // only.
    std::int64_t axis_of_instant(Instant instant) const;
    // The instant at which a value begins. Temporal keys only.
    Instant instant_of_axis(std::int64_t axis) const;

    // ISO text, in UTC, whatever the session's settings: MINVALUE and MAXVALUE at the ends.
    std::string text_of(std::int64_t axis) const;

    // The smallest and largest value that a bound can have.
    std::int64_t least() const;
    std::int64_t most() const;

    // The zone whose calendar the grid follows: dates have no zone of their own.
    const Zone &grid_zone() const;

  private:
    Oid type_;
    const Zone &zone_;
};

} // namespace privacy_scan::partition
