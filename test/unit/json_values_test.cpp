// What values mean: numerics, instants, and the texts that other types read.
#include "json/decimal.hpp"
#include "json/field_text.hpp"
#include "json/rfc3339.hpp"

#include "jsonb_writer.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace privacy_scan::json
{
namespace
{

// --- numerics -------------------------------------------------------------------------------------

// A numeric from its decimal digits, as numeric_in packs them: groups of four digits around the point.
Bytes pack_numeric(std::string digits, int decimals, bool is_negative, bool is_long = false)
{
    std::string fraction = digits.substr(digits.size() - static_cast<std::size_t>(decimals));
    std::string whole = digits.substr(0, digits.size() - static_cast<std::size_t>(decimals));
    while (whole.size() % 4 != 0)
        whole.insert(0, 1, '0');
    while (fraction.size() % 4 != 0)
        fraction += '0';
    std::vector<int> groups;
    const std::string all = whole + fraction;
    for (std::size_t i = 0; i < all.size(); i += 4)
        groups.push_back(std::stoi(all.substr(i, 4)));
    int weight = static_cast<int>(whole.size() / 4) - 1;
    while (!groups.empty() && groups.front() == 0) {
        groups.erase(groups.begin());
        --weight;
    }
    while (!groups.empty() && groups.back() == 0)
        groups.pop_back();
    if (groups.empty())
        weight = 0;
    Bytes out(4);
    auto put = [&](int half) {
        out.push_back(static_cast<std::uint8_t>(half & 255));
        out.push_back(static_cast<std::uint8_t>(half >> 8 & 255));
    };
    if (is_long) {
        put((is_negative ? 0x4000 : 0) | decimals);
        put(weight);
    } else {
        put(0x8000 | (is_negative ? 0x2000 : 0) | decimals << 7 | (weight < 0 ? 0x40 : 0) | (weight & 0x3f));
    }
    for (const int group : groups)
        put(group);
    const auto size = static_cast<std::uint32_t>(out.size()) << 2;
    std::memcpy(out.data(), &size, 4);
    return out;
}

std::string written(const Decimal &decimal)
{
    char text[48];
    return std::string(text, write_decimal(decimal, text));
}

TEST(Decimals, ReadWhatNumericInPacks)
{
    const char *texts[] = {"0",
                           "1",
                           "-1",
                           "9999",
                           "10000",
                           "123456789012345678",
                           "0.1",
                           "-0.1",
                           "2.50",
                           "0.0001",
                           "0.00010",
                           "0.00000001",
                           "10.0",
                           "1000000",
                           "100.0000",
                           "12345.67890",
                           "-99999.99",
                           "0.00",
                           "9223372036854775807",
                           "92233720368547.7",
                           "0.000000000000000001"};
    for (const std::string text : texts) {
        const bool is_negative = text[0] == '-';
        std::string digits = text.substr(is_negative);
        const std::size_t point = digits.find('.');
        const int decimals = point == std::string::npos ? 0 : static_cast<int>(digits.size() - point - 1);
        if (decimals > 0)
            digits.erase(point, 1);
        for (const bool is_long : {false, true}) {
            const Bytes bytes = pack_numeric(digits, decimals, is_negative, is_long);
            Decimal decimal{};
            ASSERT_EQ(read_decimal(bytes.data(), static_cast<std::uint32_t>(bytes.size()), decimal),
                      NumericForm::small)
                << text;
            EXPECT_EQ(written(decimal), text);
            double nearest;
            if (to_double(decimal, nearest)) {
                EXPECT_EQ(nearest, std::strtod(text.c_str(), nullptr)) << text;
            }
            std::int64_t whole;
            const double value = std::strtod(text.c_str(), nullptr);
            EXPECT_EQ(to_integer(decimal, whole), decimals == 0 || value == std::floor(value)) << text;
        }
    }
}

TEST(Decimals, AgreeWithStrtodOverManyNumbers)
{
    unsigned random = 3;
    auto next = [&] { return (random = random * 1664525 + 1013904223) >> 8; };
    for (int i = 0; i < 50000; ++i) {
        const int decimals = static_cast<int>(next() % 12);
        std::string digits = std::to_string(next() % 1000000 * (next() % 3 ? 1 : 1000003ull));
        while (digits.size() <= static_cast<std::size_t>(decimals))
            digits.insert(0, 1, '0');
        const Bytes bytes = pack_numeric(digits, decimals, i % 2);
        Decimal decimal{};
        ASSERT_EQ(read_decimal(bytes.data(), static_cast<std::uint32_t>(bytes.size()), decimal),
                  NumericForm::small);
        double nearest;
        ASSERT_TRUE(to_double(decimal, nearest));
        ASSERT_EQ(nearest, std::strtod(written(decimal).c_str(), nullptr)) << written(decimal);
    }
}

TEST(Decimals, LeaveWhatIsTooLargeToOthers)
{
    Decimal decimal;
    for (const auto &[digits, decimals] : {std::pair<const char *, int>{"9223372036854775808", 0},
                                           {"100000000000000000000", 0},
                                           {"10000000000000000000", 19},
                                           {"123456789012345678901", 2}}) {
        const Bytes bytes = pack_numeric(digits, decimals, false);
        EXPECT_EQ(read_decimal(bytes.data(), static_cast<std::uint32_t>(bytes.size()), decimal),
                  NumericForm::large)
            << digits;
    }
    const Bytes special = {6 << 2, 0, 0, 0, 0x00, 0xc0}; // NaN
    EXPECT_EQ(read_decimal(special.data(), 6, decimal), NumericForm::large);
}

TEST(Decimals, SeeDamage)
{
    Decimal decimal;
    const Bytes sound = write_numeric(42);
    for (std::uint32_t size = 0; size < sound.size(); ++size)
        EXPECT_EQ(read_decimal(sound.data(), size, decimal), NumericForm::damaged) << size;
    Bytes odd = {7 << 2, 0, 0, 0, 0x00, 0x80, 1};
    EXPECT_EQ(read_decimal(odd.data(), 7, decimal), NumericForm::damaged);
    Bytes other_size = sound;
    other_size[0] = 12 << 2;
    EXPECT_EQ(read_decimal(other_size.data(), static_cast<std::uint32_t>(sound.size()), decimal),
              NumericForm::damaged);
}

// --- instants -------------------------------------------------------------------------------------

constexpr std::int64_t seconds_to_2000 = 946684800;

bool instant(const std::string &text, std::int64_t &out)
{
    return read_rfc3339(text.data(), static_cast<std::uint32_t>(text.size()), out);
}

TEST(Rfc3339, AgreesWithTheCLibrary)
{
    unsigned random = 11;
    auto next = [&] { return (random = random * 1664525 + 1013904223) >> 8; };
    for (int i = 0; i < 20000; ++i) {
        std::time_t seconds = static_cast<std::time_t>(next()) * 15000 % 250000000000 - 60000000000;
        const int offset = static_cast<int>(next() % (2 * 959)) - 959;
        std::tm parts;
        const std::time_t local = seconds + offset * 60;
        gmtime_r(&local, &parts);
        if (parts.tm_year + 1900 < 1 || parts.tm_year + 1900 > 9999)
            continue;
        char text[80];
        const unsigned fraction = next() % 1000000;
        std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%06u%c%02d:%02d",
                      parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min,
                      parts.tm_sec, fraction, offset < 0 ? '-' : '+', std::abs(offset) / 60,
                      std::abs(offset) % 60);
        std::int64_t got;
        ASSERT_TRUE(instant(text, got)) << text;
        ASSERT_EQ(got, (seconds - seconds_to_2000) * 1000000 + fraction) << text;
    }
}

TEST(Rfc3339, TakesItsForms)
{
    const std::pair<const char *, std::int64_t> forms[] = {
        {"2000-01-01T00:00:00Z", 0},
        {"2000-01-01t00:00:00z", 0},
        {"2000-01-01 00:00:00Z", 0},
        {"2000-01-01T00:00:00-00:00", 0},
        {"2000-01-01T01:30:00+01:30", 0},
        {"1999-12-31T08:01:00-15:59", 0},
        {"2000-01-01T00:00:00.5Z", 500000},
        {"2000-01-01T00:00:00.123456Z", 123456},
        {"2000-01-01T00:00:00.1234564Z", 123456},
        {"2000-01-01T00:00:00.1234566Z", 123457},
        {"2000-01-01T00:00:00.1234565Z", 123456}, // half to even
        {"2000-01-01T00:00:00.1234575Z", 123458},
        {"2000-01-01T00:00:00.12345650001Z", 123457},
        {"2000-01-01T00:00:00.9999999Z", 1000000},
        {"1999-12-31T23:59:60Z", 0}, // the leap second is the next minute's first
    };
    for (const auto &[text, expected] : forms) {
        std::int64_t got;
        ASSERT_TRUE(instant(text, got)) << text;
        EXPECT_EQ(got, expected) << text;
    }
}

TEST(Rfc3339, RefusesWhatIsNone)
{
    for (const char *text : {"",
                             "now",
                             "2000-01-01",
                             "2000-01-01T00:00:00",
                             "2000-01-01T00:00Z",
                             "2000-01-01T00:00:00.Z",
                             "2000-01-01T00:00:00+01",
                             "2000-01-01T00:00:00+0100",
                             "2000-01-01T00:00:00+16:00",
                             "2000-01-01T00:00:00+00:60",
                             "2000-1-01T00:00:00Z",
                             "2000-13-01T00:00:00Z",
                             "2000-00-01T00:00:00Z",
                             "2000-02-30T00:00:00Z",
                             "2001-02-29T00:00:00Z",
                             "1900-02-29T00:00:00Z",
                             "2000-04-31T00:00:00Z",
                             "2000-01-01T24:00:00Z",
                             "2000-01-01T00:60:00Z",
                             "2000-01-01T00:00:61Z",
                             "0000-01-01T00:00:00Z",
                             "2000-01-01T00:00:00Zx",
                             " 2000-01-01T00:00:00Z",
                             "2000-01-01T00:00:00Z ",
                             "2000/01/01T00:00:00Z",
                             "2000-01-01X00:00:00Z",
                             "20000-01-01T00:00:00Z",
                             "-200-01-01T00:00:00Z",
                             "2000-01-01T00:00:0\xC3Z"}) {
        std::int64_t got;
        EXPECT_FALSE(instant(text, got)) << text;
    }
    std::int64_t got;
    EXPECT_TRUE(instant("2000-02-29T00:00:00Z", got)); // a leap year
}

TEST(LocalTimes, PassOverAnOffset)
{
    for (const std::string text : {"2000-01-02", "2000-01-02T00:00:00", "2000-01-02 00:00:00.0",
                                   "2000-01-02T00:00:00+05:00", "2000-01-02T00:00:00Z"}) {
        std::int64_t got;
        ASSERT_TRUE(read_local_time(text.data(), static_cast<std::uint32_t>(text.size()), got)) << text;
        EXPECT_EQ(got, 86400000000) << text;
    }
    for (const std::string text : {"", "today", "2000-01-02T", "2000-01-02T00:00", "2000-01-0200:00:00"}) {
        std::int64_t got;
        EXPECT_FALSE(read_local_time(text.data(), static_cast<std::uint32_t>(text.size()), got)) << text;
    }
}

// --- texts ----------------------------------------------------------------------------------------

const std::uint8_t *bytes_of(const std::string &text)
{
    return reinterpret_cast<const std::uint8_t *>(text.data());
}

TEST(FieldTexts, ReadWholeNumbers)
{
    const std::pair<const char *, std::int64_t> numbers[] = {{"0", 0},
                                                             {" 42\n", 42},
                                                             {"-7", -7},
                                                             {"+7", 7},
                                                             {"007", 7},
                                                             {"9223372036854775807", INT64_MAX},
                                                             {"-9223372036854775808", INT64_MIN}};
    for (const auto &[text, expected] : numbers) {
        std::int64_t got;
        ASSERT_TRUE(read_whole(bytes_of(text), std::strlen(text), got)) << text;
        EXPECT_EQ(got, expected);
    }
    for (const std::string text :
         {"", " ", "-", "1.0", "1e3", "x", "1 2", "--1", "9223372036854775808", "-9223372036854775809"}) {
        std::int64_t got;
        EXPECT_FALSE(read_whole(bytes_of(text), text.size(), got)) << text;
    }
}

TEST(FieldTexts, KnowDecimals)
{
    for (const std::string text : {"1", "-1.5", ".5", "5.", "1e10", "1E-5", " 3 ", "NaN", "nan", "+.5e+3"})
        EXPECT_TRUE(is_decimal_text(bytes_of(text), text.size())) << text;
    for (const std::string text :
         {"", ".", "e5", "1e", "1e+", "1.2.3", "1 2", "inf", "0x1", "1e99999", "one"})
        EXPECT_FALSE(is_decimal_text(bytes_of(text), text.size())) << text;
    const std::string long_text(1001, '1');
    EXPECT_FALSE(is_decimal_text(bytes_of(long_text), long_text.size()));
}

TEST(FieldTexts, ReadFloats)
{
    double got;
    for (const std::string text : {"1.5", "-2e-3", " 7 ", ".25"}) {
        ASSERT_TRUE(read_float(bytes_of(text), text.size(), got)) << text;
        EXPECT_EQ(got, std::strtod(text.c_str(), nullptr));
    }
    ASSERT_TRUE(read_float(bytes_of("-Infinity"), 9, got));
    EXPECT_EQ(got, -INFINITY);
    ASSERT_TRUE(read_float(bytes_of("NaN"), 3, got));
    EXPECT_TRUE(std::isnan(got));
    for (const std::string text : {"1e400", "1e-400", "", "x", "0x10", "1f"})
        EXPECT_FALSE(read_float(bytes_of(text), text.size(), got)) << text;
}

TEST(FieldTexts, ReadUuids)
{
    std::uint8_t got[16];
    for (const std::string text :
         {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
          "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "a0eebc999c0b4ef8bb6d6bb9bd380a11",
          "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11"}) {
        ASSERT_TRUE(read_uuid(bytes_of(text), text.size(), got)) << text;
        EXPECT_EQ(got[0], 0xa0);
        EXPECT_EQ(got[15], 0x11);
    }
    for (const std::string text :
         {"", "{", "{}", "a0eebc99", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
          "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
          "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a-0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
          "a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11"})
        EXPECT_FALSE(read_uuid(bytes_of(text), text.size(), got)) << text;
}

} // namespace
} // namespace privacy_scan::json
