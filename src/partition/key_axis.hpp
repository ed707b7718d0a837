// A partition key's type as an axis of 64-bit values, and back: the one place that knows what a key looks
// like.
#pragma once

#include "partition/key_kind.hpp"
#include "pg/postgres.hpp"

namespace privacy_scan::partition
{

// A zone of PostgreSQL's own.
std::unique_ptr<Zone> open_zone(const std::string &name); // error 22023 where unknown

class KeyAxis
{
  public:
    // kind: of an id, empty for other keys; collation: of the partition key. Errors: 0A000 for a type that
    // can't be a key, those of open_key_kind().
    KeyAxis(Oid type, const Zone &zone, const std::string &kind = {}, Oid collation = InvalidOid);

    Oid type() const { return type_; }
    const KeyKind *kind() const { return kind_.get(); } // null where the key is no id
    bool is_temporal() const;

    // A value of the key on the axis: instants of timestamp (in UTC) and timestamptz, midnight UTC of a date,
    // the value of an integer, the instant in an id (of what isn't an id of the kind, the one where it
    // sorts). Infinities, and what sorts before all ids of the kind, are the ends of the axis. Red.
    std::int64_t axis_of(Datum value) const;
    // The other way, for finite values of the axis that the grid made: of ids, the smallest from there on.
    Datum value_of(std::int64_t axis) const;
    // True where a bound is what value_of() gives, or the same with zeros added. Red.
    bool is_aligned(Datum bound) const;

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
    std::int64_t axis_of_id(Datum value) const;

    Oid type_;
    const Zone &zone_;
    std::unique_ptr<KeyKind> kind_;
    Oid collation_;
};

} // namespace privacy_scan::partition
