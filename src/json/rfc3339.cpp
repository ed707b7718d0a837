// See rfc3339.hpp.
#include "json/rfc3339.hpp"

namespace privacy_scan::json
{

namespace
{

// Reads from left to right; once something doesn't fit, nothing does.
class Reader
{
  public:
    Reader(const char *text, std::uint32_t length) : at_(text), end_(text + length) {}

    bool is_sound() const { return sound_; }
    bool is_at_end() const { return at_ == end_; }

    // A number of so many digits, within [least, most].
    template <int digits> std::int32_t number(std::int32_t least, std::int32_t most)
    {
        if (end_ - at_ < digits) {
            sound_ = false;
            return 0;
        }
        std::uint32_t value = 0;
        bool is_number = true;
        for (int i = 0; i < digits; ++i) {
            const std::uint32_t digit = static_cast<std::uint8_t>(at_[i]) - std::uint32_t{'0'};
            is_number &= digit <= 9;
            value = value * 10 + digit;
        }
        at_ += digits;
        const auto number = static_cast<std::int32_t>(value);
        sound_ &= is_number && number >= least && number <= most;
        return number;
    }

    // The next character; NUL at the end.
    char next() { return at_ == end_ ? '\0' : *at_++; }

    void must_be(bool condition) { sound_ &= condition; }

    bool skip(char character)
    {
        if (at_ == end_ || *at_ != character)
            return false;
        ++at_;
        return true;
    }

    bool sees_digit() const { return at_ != end_ && *at_ >= '0' && *at_ <= '9'; }

    std::int32_t digit()
    {
        if (!sees_digit()) {
            sound_ = false;
            return 0;
        }
        return *at_++ - '0';
    }

  private:
    const char *at_, *end_;
    bool sound_ = true;
};

// Days since 2000-01-01 in the proleptic Gregorian calendar. Method: Howard Hinnant, "chrono-compatible
// low-level date algorithms", days_from_civil.
std::int64_t days_of(std::int32_t year, std::int32_t month, std::int32_t day)
{
    const std::int32_t y = year - (month <= 2);
    const std::int32_t era = y / 400; // y >= 0
    const std::int32_t year_of_era = y - era * 400;
    const std::int32_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const std::int32_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return std::int64_t{era} * 146097 + day_of_era - 730425;
}

std::int32_t days_in(std::int32_t year, std::int32_t month)
{
    const bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (month == 2)
        return is_leap ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

// Of the digits behind the point, rounded half to even, as rint does.
std::int64_t read_fraction(Reader &reader)
{
    std::int64_t value = reader.digit();
    for (int digits = 1; digits < 6; ++digits)
        value = value * 10 + (reader.sees_digit() ? reader.digit() : 0);
    if (!reader.sees_digit())
        return value;
    const std::int32_t next = reader.digit();
    bool more = false;
    while (reader.sees_digit())
        more |= reader.digit() != 0;
    return value + (next > 5 || (next == 5 && (more || value % 2 == 1)));
}

std::int32_t read_offset_minutes(Reader &reader)
{
    const char sign = reader.next();
    if (sign != '+' && sign != '-') {
        reader.must_be(sign == 'Z' || sign == 'z');
        return 0;
    }
    const std::int32_t hours = reader.number<2>(0, 15);
    reader.must_be(reader.next() == ':');
    const std::int32_t minutes = hours * 60 + reader.number<2>(0, 59);
    return sign == '-' ? -minutes : minutes;
}

std::int32_t read_date(Reader &reader)
{
    const std::int32_t year = reader.number<4>(1, 9999);
    reader.must_be(reader.next() == '-');
    const std::int32_t month = reader.number<2>(1, 12);
    reader.must_be(reader.next() == '-');
    const std::int32_t day = reader.number<2>(1, days_in(year, month));
    return static_cast<std::int32_t>(days_of(year, month, day));
}

// Microseconds since midnight.
std::int64_t read_time(Reader &reader)
{
    const std::int32_t hour = reader.number<2>(0, 23);
    reader.must_be(reader.next() == ':');
    const std::int32_t minute = reader.number<2>(0, 59);
    reader.must_be(reader.next() == ':');
    const std::int32_t second = reader.number<2>(0, 60);
    const std::int64_t fraction = reader.skip('.') ? read_fraction(reader) : 0;
    return (std::int64_t{hour * 60 + minute} * 60 + second) * 1000000 + fraction;
}

void read_separator(Reader &reader)
{
    const char separator = reader.next();
    reader.must_be(separator == 'T' || separator == 't' || separator == ' ');
}

constexpr std::int64_t per_minute = 60000000, per_day = 1440 * per_minute;

} // namespace

bool read_rfc3339(const char *text, std::uint32_t length, std::int64_t &microseconds)
{
    Reader reader(text, length);
    const std::int64_t date = read_date(reader) * per_day;
    read_separator(reader);
    const std::int64_t time = read_time(reader);
    microseconds = date + time - read_offset_minutes(reader) * per_minute;
    return reader.is_sound() && reader.is_at_end();
}

bool read_local_time(const char *text, std::uint32_t length, std::int64_t &microseconds)
{
    Reader reader(text, length);
    microseconds = read_date(reader) * per_day;
    if (reader.is_at_end())
        return reader.is_sound();
    read_separator(reader);
    microseconds += read_time(reader);
    if (!reader.is_at_end())
        (void)read_offset_minutes(reader);
    return reader.is_sound() && reader.is_at_end();
}

} // namespace privacy_scan::json
