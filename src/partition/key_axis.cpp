// See key_axis.hpp.
#include "pg/postgres.hpp"

#include "partition/key_axis.hpp"

#include "partition/id_value.hpp"
#include "partition/partition_plan.hpp"
#include "pg/guard.hpp"

extern "C" {
#include <catalog/pg_type_d.h>
#include <pgtime.h>
#include <utils/builtins.h>
#include <utils/date.h>
#include <utils/datetime.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::partition
{

namespace
{

constexpr std::int64_t unix_to_postgres = 946684800; // seconds from 1970-01-01 to 2000-01-01

class PgZone : public Zone
{
  public:
    explicit PgZone(pg_tz *zone) : zone_(zone) {}

    ZoneStretch stretch_at(Seconds utc) const override
    {
        pg_time_t at = utc + unix_to_postgres;
        pg_time_t boundary = 0;
        long before = 0, after = 0;
        int before_is_dst = 0, after_is_dst = 0;
        int found =
            pg_next_dst_boundary(&at, &before, &before_is_dst, &boundary, &after, &after_is_dst, zone_);
        if (found < 0)
            pg::fail(ERRCODE_DATETIME_FIELD_OVERFLOW, "time zone has no offset at this instant");
        return {found == 0 ? INT64_MAX : boundary - unix_to_postgres, static_cast<int>(before)};
    }

  private:
    pg_tz *zone_;
};

// Red. ISO, in UTC, with the offset for a timestamptz.
char *format_timestamp(Timestamp value, bool with_offset)
{
    struct pg_tm tm;
    fsec_t fsec;
    char text[MAXDATELEN + 1];
    if (timestamp2tm(value, nullptr, &tm, &fsec, nullptr, nullptr) != 0)
        ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
    tm.tm_isdst = 0; // below zero, no offset is written
    EncodeDateTime(&tm, fsec, with_offset, 0, nullptr, USE_ISO_DATES, text);
    return pstrdup(text);
}

} // namespace

std::unique_ptr<Zone> open_zone(const std::string &name)
{
    const char *text = name.c_str();
    pg_tz *zone = pg::guarded([=] { return pg_tzset(text); });
    if (!zone || !pg::guarded([=] { return pg_tz_acceptable(zone); }))
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "time zone \"" + name + "\" not recognized", {},
                 "Take a name from pg_timezone_names, such as UTC or Europe/Berlin.");
    return std::make_unique<PgZone>(zone);
}

KeyAxis::KeyAxis(Oid type, const Zone &zone, const std::string &kind, Oid collation)
    : type_(type), zone_(zone), collation_(collation)
{
    if (!kind.empty()) {
        kind_ = open_key_kind(kind, type);
        return;
    }
    switch (type) {
    case TIMESTAMPTZOID:
    case TIMESTAMPOID:
    case DATEOID:
    case INT8OID:
    case INT4OID:
        return;
    default:
        pg::fail(ERRCODE_FEATURE_NOT_SUPPORTED,
                 std::string("partition key has the unsupported type ") +
                     pg::guarded([=] { return format_type_be(type); }),
                 {},
                 "Supported are timestamp, timestamptz, date, bigint and integer, and, with key_kind, ids "
                 "that carry "
                 "time as text, varchar, uuid or bigint.");
    }
}

bool KeyAxis::is_temporal() const
{
    return kind_ || (type_ != INT8OID && type_ != INT4OID);
}

std::int64_t KeyAxis::axis_of_id(Datum value) const
{
    const IdValue id(type_, value);
    if (std::optional<Instant> instant = kind_->instant_of(id.image()))
        return *instant;
    std::optional<Instant> position =
        position_of(*kind_, [&](std::string_view image) { return id.is_below(image, collation_); });
    return position ? *position : axis_min;
}

bool KeyAxis::is_aligned(Datum bound) const
{
    const std::int64_t axis = kind_ ? axis_of(bound) : axis_max;
    if (axis == axis_max || axis == axis_min)
        return axis == axis_max;
    const IdValue id(type_, bound);
    const IdBytes smallest = kind_->smallest_at(axis);
    const std::string_view image = id.image(), begin = image.substr(0, smallest.size);
    return begin == smallest.view() &&
           (begin.size() == image.size() ||
            image.find_first_not_of("0-", begin.size()) == std::string_view::npos);
}

std::int64_t KeyAxis::axis_of(Datum value) const
{
    if (kind_)
        return axis_of_id(value);
    if (type_ == INT4OID)
        return DatumGetInt32(value);
    if (type_ != DATEOID)
        return DatumGetInt64(value); // the infinities of timestamps are the ends already
    DateADT days = DatumGetDateADT(value);
    if (DATE_IS_NOBEGIN(days))
        return axis_min;
    constexpr DateADT far = 100000000; // beyond it, microseconds overflow
    return days > far ? axis_max : static_cast<std::int64_t>(days) * USECS_PER_DAY;
}

Datum KeyAxis::value_of(std::int64_t axis) const
{
    if (kind_)
        return datum_of_image(type_, kind_->smallest_at(kind_->round_up(axis)));
    if (type_ == INT4OID)
        return Int32GetDatum(static_cast<std::int32_t>(axis));
    if (type_ == DATEOID)
        return DateADTGetDatum(static_cast<DateADT>(axis / USECS_PER_DAY));
    return Int64GetDatum(axis);
}

std::int64_t KeyAxis::axis_of_instant(Instant instant) const
{
    if (type_ != DATEOID)
        return instant;
    std::int64_t local = local_of_instant(zone_, instant);
    std::int64_t into_day = local % USECS_PER_DAY;
    return local - into_day - (into_day < 0 ? USECS_PER_DAY : 0);
}

Instant KeyAxis::instant_of_axis(std::int64_t axis) const
{
    bool finite = axis >= first_instant && axis <= last_instant;
    return type_ == DATEOID && finite ? instant_of_local(zone_, axis) : axis;
}

std::string KeyAxis::text_of(std::int64_t axis) const
{
    if (axis == axis_min)
        return "MINVALUE";
    if (axis == axis_max)
        return "MAXVALUE";
    if (kind_)
        return text_of_image(type_, kind_->smallest_at(kind_->round_up(axis)));
    if (!is_temporal())
        return std::to_string(axis);
    const bool with_offset = type_ == TIMESTAMPTZOID;
    std::string text = pg::guarded([=] { return format_timestamp(axis, with_offset); });
    return type_ == DATEOID ? text.substr(0, text.find(' ')) : text;
}

std::int64_t KeyAxis::least() const
{
    return type_ == INT4OID ? INT32_MIN : axis_min + 1;
}
std::int64_t KeyAxis::most() const
{
    return type_ == INT4OID ? INT32_MAX : axis_max - 1;
}
const Zone &KeyAxis::grid_zone() const
{
    return type_ == DATEOID ? utc_zone() : zone_;
}

} // namespace privacy_scan::partition
