// See key_kind.hpp.
//
// | kind | public specification |
// |---|---|
// | uuidv7 | RFC 9562, section 5.7: 48 bits of Unix milliseconds, version 7, variant 10 |
// | ulid, ulid_lower | github.com/ulid/spec: 10 characters of Crockford's base 32 for 48 bits of
// milliseconds, 16 of |   chance; upper case, and as written by those who lower it | | cuid |
// github.com/paralleldrive/cuid (version 1): "c", milliseconds in base 36 (8 digits until 2059), counter, |
// fingerprint and chance of 4, 4 and 8 digits | | ksuid | github.com/segmentio/ksuid: 32 bits of seconds
// since 2014-05-13 16:53:20 UTC and 128 of chance, as one |   number in base 62 of 27 digits | | objectid |
// www.mongodb.com/docs/manual/reference/bson-types: 32 bits of Unix seconds and 64 more, 24 digits of | base
// 16 | | snowflake | github.com/twitter-archive/snowflake: milliseconds since an epoch of one's own, shifted
// to the left |
#include "partition/key_kind.hpp"

#include <cstring>

namespace privacy_scan::partition
{

namespace
{

constexpr std::int64_t unix_seconds_to_2000 = 946684800;
constexpr Instant unix_epoch = -unix_seconds_to_2000 * usecs_per_second;
constexpr Instant usecs_per_ms = 1000;

constexpr std::string_view base16 = "0123456789abcdef";
constexpr std::string_view base36 = "0123456789abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr std::string_view crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::string_view crockford_lower = "0123456789abcdefghjkmnpqrstvwxyz";

IdBytes bytes_of(std::string_view text)
{
    IdBytes bytes{};
    std::memcpy(bytes.data, text.data(), text.size());
    bytes.size = text.size();
    return bytes;
}

bool consists_of(std::string_view text, std::string_view alphabet)
{
    return text.find_first_not_of(alphabet) == std::string_view::npos;
}

std::int64_t number_of(std::string_view digits, std::string_view alphabet)
{
    std::int64_t number = 0;
    for (char digit : digits)
        number = number * static_cast<std::int64_t>(alphabet.size()) +
                 static_cast<std::int64_t>(alphabet.find(digit));
    return number;
}

void write_number(char *at, int digits, std::int64_t number, std::string_view alphabet)
{
    const auto base = static_cast<std::int64_t>(alphabet.size());
    for (int i = digits; i-- > 0; number /= base)
        at[i] = alphabet[static_cast<std::size_t>(number % base)];
}

// A letter or none, then the time as digits of their own, then more digits of the same alphabet.
class DigitsKind : public KeyKind
{
  public:
    struct Form {
        const char *name;
        std::string_view alphabet;
        std::string_view prefix;
        int digits;         // of the time
        std::size_t size;   // of an id
        Instant unit;       // of the time
        std::int64_t limit; // the time stays below it
    };
    explicit DigitsKind(const Form &form) : form_(form) {}

    std::string name() const override { return form_.name; }
    IdStorage storage() const override { return IdStorage::text; }
    std::string_view alphabet() const override { return form_.alphabet; }
    Instant unit() const override { return form_.unit; }
    Instant earliest() const override { return unix_epoch; }
    Instant latest() const override { return unix_epoch + (form_.limit - 1) * form_.unit; }

    std::optional<Instant> instant_of(std::string_view image) const override
    {
        const std::size_t start = form_.prefix.size();
        if (image.size() != form_.size || image.substr(0, start) != form_.prefix ||
            !consists_of(image.substr(start), form_.alphabet))
            return std::nullopt;
        const std::int64_t time =
            number_of(image.substr(start, static_cast<std::size_t>(form_.digits)), form_.alphabet);
        if (time >= form_.limit)
            return std::nullopt;
        return unix_epoch + time * form_.unit;
    }

    // A prefix of all ids of that time sorts before them, and after all that are older.
    IdBytes smallest_at(Instant instant) const override
    {
        IdBytes bytes = bytes_of(form_.prefix);
        write_number(bytes.data + bytes.size, form_.digits, (instant - unix_epoch) / form_.unit,
                     form_.alphabet);
        bytes.size += static_cast<std::size_t>(form_.digits);
        return bytes;
    }

  private:
    Form form_;
};

constexpr std::int64_t two_to(int bits)
{
    return std::int64_t{1} << bits;
}
constexpr std::int64_t cuid_limit = 2821109907456; // 36 ^ 8: 2059-05-25 17:38:27.456 UTC

const DigitsKind::Form digit_forms[] = {
    {"cuid", base36, "c", 8, 25, usecs_per_ms, cuid_limit},
    {"ulid", crockford, "", 10, 26, usecs_per_ms, two_to(48)},
    {"ulid_lower", crockford_lower, "", 10, 26, usecs_per_ms, two_to(48)},
    {"objectid", base16, "", 8, 24, usecs_per_second, two_to(32)},
};

// The years 1970 to 10889 fit in 48 bits; partitions end with 9999 anyhow.
class UuidKind : public KeyKind
{
  public:
    explicit UuidKind(IdStorage storage) : storage_(storage) {}

    std::string name() const override { return "uuidv7"; }
    IdStorage storage() const override { return storage_; }
    std::string_view alphabet() const override
    {
        return storage_ == IdStorage::text ? base16 : std::string_view();
    }
    Instant unit() const override { return usecs_per_ms; }
    Instant earliest() const override { return unix_epoch; }
    Instant latest() const override { return unix_epoch + (two_to(48) - 1) * usecs_per_ms; }

    std::optional<Instant> instant_of(std::string_view image) const override
    {
        IdBytes bytes{};
        if (storage_ == IdStorage::text) {
            const std::optional<IdBytes> parsed = image_of_uuid_text(image);
            if (!parsed)
                return std::nullopt;
            bytes = *parsed;
            image = bytes.view();
        }
        if (image.size() != 16 || (image[6] & 0xf0) != 0x70 || (image[8] & 0xc0) != 0x80)
            return std::nullopt;
        std::int64_t ms = 0;
        for (int i = 0; i < 6; ++i)
            ms = ms << 8 | static_cast<unsigned char>(image[static_cast<std::size_t>(i)]);
        return unix_epoch + ms * usecs_per_ms;
    }

    // Zeros behind the time, as every uuid has 16 bytes; of the text, its beginning.
    IdBytes smallest_at(Instant instant) const override
    {
        IdBytes bytes{};
        bytes.size = 16;
        std::int64_t ms = (instant - unix_epoch) / usecs_per_ms;
        for (int i = 6; i-- > 0; ms >>= 8)
            bytes.data[i] = static_cast<char>(ms & 0xff);
        if (storage_ == IdStorage::text) {
            bytes = uuid_text_of_image(bytes.view());
            bytes.size = 13;
        }
        return bytes;
    }

  private:
    IdStorage storage_;
};

// The time is no run of digits: the whole is one number of 160 bits.
class KsuidKind : public KeyKind
{
  public:
    std::string name() const override { return "ksuid"; }
    IdStorage storage() const override { return IdStorage::text; }
    std::string_view alphabet() const override { return base62; }
    Instant unit() const override { return usecs_per_second; }
    Instant earliest() const override { return unix_epoch + 1400000000 * usecs_per_second; }
    Instant latest() const override { return earliest() + (two_to(32) - 1) * usecs_per_second; }

    std::optional<Instant> instant_of(std::string_view image) const override
    {
        if (image.size() != digits || !consists_of(image, base62))
            return std::nullopt;
        std::uint32_t words[5] = {};
        for (char digit : image) {
            std::uint64_t carry = base62.find(digit);
            for (int i = 5; i-- > 0; carry >>= 32) {
                carry += std::uint64_t{words[i]} * 62;
                words[i] = static_cast<std::uint32_t>(carry);
            }
            if (carry != 0)
                return std::nullopt; // above the largest number of 160 bits
        }
        return earliest() + std::int64_t{words[0]} * usecs_per_second;
    }

    IdBytes smallest_at(Instant instant) const override
    {
        std::uint32_t words[5] = {static_cast<std::uint32_t>((instant - earliest()) / usecs_per_second)};
        IdBytes bytes{};
        bytes.size = digits;
        for (std::size_t at = digits; at-- > 0;) {
            std::uint64_t rest = 0;
            for (std::uint32_t &word : words) {
                rest = rest << 32 | word;
                word = static_cast<std::uint32_t>(rest / 62);
                rest %= 62;
            }
            bytes.data[at] = base62[rest];
        }
        return bytes;
    }

  private:
    static constexpr std::size_t digits = 27;
};

class SnowflakeKind : public KeyKind
{
  public:
    SnowflakeKind(std::int64_t epoch_ms, int shift) : epoch_ms_(epoch_ms), shift_(shift) {}

    std::string name() const override
    {
        return "snowflake(" + std::to_string(epoch_ms_) + "," + std::to_string(shift_) + ")";
    }
    IdStorage storage() const override { return IdStorage::bigint; }
    Instant unit() const override { return usecs_per_ms; }
    Instant earliest() const override { return unix_epoch + epoch_ms_ * usecs_per_ms; }
    Instant latest() const override { return earliest() + (INT64_MAX >> shift_) * usecs_per_ms; }

    std::optional<Instant> instant_of(std::string_view image) const override
    {
        const std::int64_t id = image.size() == 8 ? bigint_of_image(image) : -1;
        if (id < 0)
            return std::nullopt;
        return earliest() + (id >> shift_) * usecs_per_ms;
    }
    IdBytes smallest_at(Instant instant) const override
    {
        return image_of_bigint((instant - earliest()) / usecs_per_ms << shift_);
    }

  private:
    std::int64_t epoch_ms_;
    int shift_;
};

// Digits, at most 15 of them, at the beginning of the text, which they are taken from.
std::optional<std::int64_t> take_number(std::string_view &text)
{
    std::size_t size = text.find_first_not_of("0123456789");
    size = size == std::string_view::npos ? text.size() : size;
    if (size == 0 || size > 15)
        return std::nullopt;
    const std::int64_t number = number_of(text.substr(0, size), "0123456789");
    text.remove_prefix(size);
    return number;
}

bool take(std::string_view &text, std::string_view what)
{
    if (text.substr(0, what.size()) != what)
        return false;
    text.remove_prefix(what.size());
    return true;
}

// The shift leaves 21 to 58 bits for milliseconds, so that no instant of it is beyond a bigint of
// microseconds.
std::unique_ptr<KeyKind> make_snowflake(std::string_view text)
{
    if (!take(text, "snowflake("))
        return nullptr;
    const std::optional<std::int64_t> epoch = take_number(text);
    if (!epoch || !take(text, ","))
        return nullptr;
    take(text, " ");
    const std::optional<std::int64_t> shift = take_number(text);
    constexpr std::int64_t latest_epoch = 4102444800000; // 2100
    if (!shift || text != ")" || *epoch > latest_epoch || *shift < 10 || *shift > 24)
        return nullptr;
    return std::make_unique<SnowflakeKind>(*epoch, static_cast<int>(*shift));
}

} // namespace

Instant KeyKind::round_up(Instant instant) const
{
    if (instant <= earliest())
        return earliest();
    if (instant > latest())
        return latest();
    return earliest() + (instant - earliest() + unit() - 1) / unit() * unit();
}

std::unique_ptr<KeyKind> make_key_kind(std::string_view name, IdStorage storage)
{
    if (name == "uuidv7" && storage != IdStorage::bigint)
        return std::make_unique<UuidKind>(storage);
    if (storage == IdStorage::bigint)
        return make_snowflake(name);
    if (storage == IdStorage::uuid)
        return nullptr;
    if (name == "ksuid")
        return std::make_unique<KsuidKind>();
    for (const DigitsKind::Form &form : digit_forms)
        if (name == form.name)
            return std::make_unique<DigitsKind>(form);
    return nullptr;
}

std::vector<std::unique_ptr<KeyKind>> likely_key_kinds(IdStorage storage)
{
    std::vector<std::unique_ptr<KeyKind>> kinds;
    for (const char *name : {"uuidv7", "cuid", "ulid", "ulid_lower", "ksuid", "objectid",
                             "snowflake(1288834974657,22)", "snowflake(1420070400000,22)"})
        if (auto kind = make_key_kind(name, storage))
            kinds.push_back(std::move(kind));
    return kinds;
}

IdBytes image_of_bigint(std::int64_t value)
{
    IdBytes bytes{};
    bytes.size = 8;
    std::uint64_t bits = static_cast<std::uint64_t>(value) ^ std::uint64_t{1} << 63;
    for (int i = 8; i-- > 0; bits >>= 8)
        bytes.data[i] = static_cast<char>(bits & 0xff);
    return bytes;
}

std::int64_t bigint_of_image(std::string_view image)
{
    std::uint64_t bits = 0;
    for (char byte : image)
        bits = bits << 8 | static_cast<unsigned char>(byte);
    return static_cast<std::int64_t>(bits ^ std::uint64_t{1} << 63);
}

std::optional<IdBytes> image_of_uuid_text(std::string_view text)
{
    if (text.size() != 36)
        return std::nullopt;
    IdBytes bytes{};
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i] != '-')
                return std::nullopt;
            continue;
        }
        const std::size_t digit = base16.find(text[i]);
        const std::size_t second = i + 1 < text.size() ? base16.find(text[i + 1]) : std::string_view::npos;
        if (digit == std::string_view::npos || second == std::string_view::npos)
            return std::nullopt;
        bytes.data[bytes.size++] = static_cast<char>(digit << 4 | second);
        ++i;
    }
    return bytes;
}

IdBytes uuid_text_of_image(std::string_view image)
{
    IdBytes text{};
    for (std::size_t i = 0; i < image.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            text.data[text.size++] = '-';
        write_number(text.data + text.size, 2, static_cast<unsigned char>(image[i]), base16);
        text.size += 2;
    }
    return text;
}

std::optional<Cell> KindGrid::cell_at(std::int64_t value) const
{
    std::optional<Cell> cell = grid_->cell_at(value);
    if (!cell || cell->lower < kind_.earliest() || cell->upper > kind_.latest())
        return std::nullopt;
    return cell;
}

} // namespace privacy_scan::partition
