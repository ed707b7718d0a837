// See field_text.hpp.
#include "json/field_text.hpp"

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <string_view>

namespace privacy_scan::json
{

namespace
{

constexpr std::size_t longest_number = 1000; // characters; numeric holds far more than such a one
constexpr int largest_exponent = 10000;

bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

Stretch trim_bytes(const std::uint8_t *text, std::size_t length)
{
    return trim(reinterpret_cast<const char *>(text), length);
}

bool is_word(Stretch text, std::string_view word)
{
    if (text.length != word.size())
        return false;
    for (std::size_t i = 0; i < word.size(); ++i)
        if ((text.begin[i] | 0x20) != word[i])
            return false;
    return true;
}

// Takes digits off; how many there were.
std::size_t skip_digits(const char *&at, const char *end)
{
    const char *begin = at;
    while (at < end && is_digit(*at))
        ++at;
    return static_cast<std::size_t>(at - begin);
}

bool skip_sign(const char *&at, const char *end)
{
    if (at == end || (*at != '+' && *at != '-'))
        return false;
    ++at;
    return true;
}

// e, a sign at most, digits; nothing at all is none.
bool skip_exponent(const char *&at, const char *end)
{
    if (at == end || (*at | 0x20) != 'e')
        return true;
    ++at;
    skip_sign(at, end);
    int exponent = 0;
    const char *const digits = at;
    for (; at < end && is_digit(*at); ++at)
        exponent = exponent > largest_exponent ? exponent : exponent * 10 + (*at - '0');
    return at > digits && exponent <= largest_exponent;
}

bool is_number(Stretch text)
{
    const char *at = text.begin, *const end = text.begin + text.length;
    if (text.length > longest_number)
        return false;
    skip_sign(at, end);
    std::size_t digits = skip_digits(at, end);
    if (at < end && *at == '.') {
        ++at;
        digits += skip_digits(at, end);
    }
    return digits > 0 && skip_exponent(at, end) && at == end;
}

int hex_value(std::uint8_t c)
{
    if (is_digit(static_cast<char>(c)))
        return c - '0';
    const int letter = (c | 0x20) - 'a';
    return letter >= 0 && letter < 6 ? letter + 10 : -1;
}

} // namespace

Stretch trim(const char *text, std::size_t length)
{
    const char *begin = text, *end = text + length;
    while (begin < end && is_space(*begin))
        ++begin;
    while (end > begin && is_space(end[-1]))
        --end;
    return {begin, static_cast<std::size_t>(end - begin)};
}

bool read_whole(const std::uint8_t *bytes, std::size_t length, std::int64_t &out)
{
    const Stretch text = trim_bytes(bytes, length);
    const char *at = text.begin, *const end = text.begin + text.length;
    const bool is_negative = at < end && *at == '-';
    skip_sign(at, end);
    if (at == end)
        return false;
    out = 0;
    for (; at < end; ++at) {
        const std::int64_t digit = is_negative ? '0' - *at : *at - '0';
        if (!is_digit(*at) || __builtin_mul_overflow(out, std::int64_t{10}, &out) ||
            __builtin_add_overflow(out, digit, &out))
            return false;
    }
    return true;
}

bool is_decimal_text(const std::uint8_t *bytes, std::size_t length)
{
    const Stretch text = trim_bytes(bytes, length);
    return is_number(text) || is_word(text, "nan");
}

int read_infinity(const std::uint8_t *bytes, std::size_t length, bool is_number)
{
    Stretch text = trim_bytes(bytes, length);
    const bool is_negative = text.length > 0 && *text.begin == '-';
    if (is_negative || (is_number && text.length > 0 && *text.begin == '+'))
        text = {text.begin + 1, text.length - 1};
    if (!is_word(text, "infinity") && !(is_number && is_word(text, "inf")))
        return 0;
    return is_negative ? -1 : 1;
}

bool read_float(const std::uint8_t *bytes, std::size_t length, double &out)
{
    const Stretch text = trim_bytes(bytes, length);
    const bool is_plain = is_number(text);
    if (!is_plain && !is_word(text, "nan") && read_infinity(bytes, length, true) == 0)
        return false;
    char copy[longest_number + 1];
    copy[text.length] = '\0';
    for (std::size_t i = 0; i < text.length; ++i)
        copy[i] = text.begin[i];
    errno = 0;
    out = std::strtod(copy, nullptr);
    return !is_plain || errno != ERANGE || (out != 0 && std::isfinite(out));
}

bool read_uuid(const std::uint8_t *text, std::size_t length, std::uint8_t *out)
{
    const std::uint8_t *at = text, *end = text + length;
    const bool has_braces = length >= 2 && *at == '{';
    if (has_braces && *--end != '}')
        return false;
    at += has_braces;
    for (int i = 0; i < 16; ++i) {
        if (end - at < 2 || hex_value(at[0]) < 0 || hex_value(at[1]) < 0)
            return false;
        out[i] = static_cast<std::uint8_t>(hex_value(at[0]) << 4 | hex_value(at[1]));
        at += 2;
        if (i % 2 == 1 && i < 15 && at < end && *at == '-')
            ++at;
    }
    return at == end;
}

} // namespace privacy_scan::json
