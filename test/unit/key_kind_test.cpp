// Ids that carry time: known ids of each kind, round trips, order against random ids, the ends of each kind.
#include "partition/key_kind.hpp"

#include "test_zones.hpp"

#include <gtest/gtest.h>
#include <random>

namespace privacy_scan::partition
{
namespace
{

constexpr Instant ms = 1000;
constexpr const char *twitter = "snowflake(1288834974657,22)";

struct KindCase {
    const char *name;
    IdStorage storage;
};
const KindCase cases[] = {
    {"uuidv7", IdStorage::uuid},
    {"uuidv7", IdStorage::text},
    {"ulid", IdStorage::text},
    {"ulid_lower", IdStorage::text},
    {"cuid", IdStorage::text},
    {"ksuid", IdStorage::text},
    {"objectid", IdStorage::text},
    {twitter, IdStorage::bigint},
    {"snowflake(0,10)", IdStorage::bigint},
    {"snowflake(1420070400000,24)", IdStorage::bigint},
};

// An id of the instant with random bits behind its time, made as a generator would, from the specification.
std::string random_id(const KeyKind &kind, Instant instant, std::mt19937_64 &random)
{
    std::string id(kind.smallest_at(instant).view());
    if (kind.storage() == IdStorage::bigint) {
        const std::string name = kind.name();
        const int shift = std::stoi(name.substr(name.find(',') + 1));
        const std::int64_t noise = static_cast<std::int64_t>(random() & ((std::uint64_t{1} << shift) - 1));
        return std::string(image_of_bigint(bigint_of_image(id) + noise).view());
    }
    if (kind.name() == "uuidv7") {
        std::string bytes = kind.storage() == IdStorage::uuid ? id.substr(0, 6) : std::string();
        for (std::size_t i = 0; bytes.size() < 6; i += 2 + (i == 6))
            bytes += static_cast<char>(std::stoi(id.substr(i, 2), nullptr, 16));
        while (bytes.size() < 16)
            bytes += static_cast<char>(random());
        bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x70);
        bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
        return kind.storage() == IdStorage::uuid ? bytes : std::string(uuid_text_of_image(bytes).view());
    }
    if (kind.name() == "ksuid") { // the last 21 digits are less than 128 bits: 62 ^ 21 < 2 ^ 128
        for (std::size_t i = id.size(); i-- > 7;)
            id[i] = std::max(id[i], kind.alphabet()[random() % 62]);
        return id;
    }
    const std::size_t size = kind.name() == "cuid" ? 25 : kind.name() == "objectid" ? 24 : 26;
    while (id.size() < size)
        id += kind.alphabet()[random() % kind.alphabet().size()];
    return id;
}

Instant random_instant(const KeyKind &kind, std::mt19937_64 &random)
{
    const auto count = static_cast<std::uint64_t>((kind.latest() - kind.earliest()) / kind.unit()) + 1;
    return kind.earliest() + static_cast<Instant>(random() % count) * kind.unit();
}

std::optional<Instant> instant_in(const char *kind, IdStorage storage, std::string_view id)
{
    return make_key_kind(kind, storage)->instant_of(id);
}

std::string smallest(const char *kind, Instant instant)
{
    return std::string(make_key_kind(kind, IdStorage::text)->smallest_at(instant).view());
}

constexpr Instant of_unix_ms(std::int64_t unix_ms)
{
    return (unix_ms - 946684800000) * ms;
}

// Ids from the specifications and from generators.
TEST(KeyKind, KnownIds)
{
    EXPECT_EQ(instant_in("uuidv7", IdStorage::text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"), // RFC 9562, A.6
              of_unix_ms(0x017F22E279B0));
    EXPECT_EQ(instant_in("ulid", IdStorage::text, "01ARZ3NDEKTSV4RRFFQ69G5FAV"), of_unix_ms(1469922850259));
    EXPECT_EQ(instant_in("ulid_lower", IdStorage::text, "01arz3ndektsv4rrffq69g5fav"),
              of_unix_ms(1469922850259));
    EXPECT_EQ(instant_in("cuid", IdStorage::text, "ch72gsb320000udocl363eofy"), // its readme, of 2012
              of_unix_ms(1347577392926));
    EXPECT_EQ(instant_in("ksuid", IdStorage::text, "0ujtsYcgvSTl8PAuAdqWYSMnLOv"), // its readme
              of_unix_ms(1507608047000));
    EXPECT_EQ(instant_in("objectid", IdStorage::text, "507f1f77bcf86cd799439011"), of_unix_ms(1350508407000));
    EXPECT_EQ(instant_in(twitter, IdStorage::bigint, image_of_bigint(1541815603606036480).view()),
              of_unix_ms(1656432460105));
}

TEST(KeyKind, SmallestIdsAreThoseOfTheSpecifications)
{
    EXPECT_EQ(smallest("cuid", of_unix_ms(1735689600000)), "cm5d4ruo0");
    EXPECT_EQ(smallest("ulid", of_unix_ms(1469922850259)), "01ARZ3NDEK");
    EXPECT_EQ(smallest("objectid", of_unix_ms(1350508407000)), "507f1f77");
    EXPECT_EQ(smallest("uuidv7", of_unix_ms(0x017F22E279B0)), "017f22e2-79b0");
    EXPECT_EQ(smallest("ksuid", of_unix_ms(1400000000000)), "000000000000000000000000000");
}

TEST(KeyKind, TimesRoundTripAndIdsSortByTime)
{
    std::mt19937_64 random(42);
    for (const KindCase &c : cases) {
        const auto kind = make_key_kind(c.name, c.storage);
        ASSERT_TRUE(kind) << c.name;
        EXPECT_EQ(kind->name(), c.name);
        EXPECT_EQ(kind->storage(), c.storage);
        for (int i = 0; i < 5000; ++i) {
            const Instant instant = random_instant(*kind, random);
            const std::string id = random_id(*kind, instant, random);
            ASSERT_EQ(kind->instant_of(id), instant) << c.name << " " << id;
            ASSERT_LE(kind->smallest_at(instant).view(), id) << c.name;
            if (instant < kind->latest()) {
                ASSERT_LT(id, kind->smallest_at(instant + kind->unit()).view()) << c.name;
            }
            const Instant other = random_instant(*kind, random);
            ASSERT_EQ(kind->smallest_at(instant).view() < kind->smallest_at(other).view(), instant < other);
        }
    }
}

// What isn't an id of the kind has a place too: the one that its order gives it.
TEST(KeyKind, PositionIsTheFloorOfWhateverValue)
{
    std::mt19937_64 random(7);
    for (const KindCase &c : cases) {
        const auto kind = make_key_kind(c.name, c.storage);
        auto position = [&](std::string_view value) {
            return position_of(*kind, [&](std::string_view image) { return image > value; });
        };
        for (int i = 0; i < 2000; ++i) {
            const Instant instant = random_instant(*kind, random);
            ASSERT_EQ(position(random_id(*kind, instant, random)), instant) << c.name;
            ASSERT_EQ(position(kind->smallest_at(instant).view()), instant) << c.name;
        }
        EXPECT_EQ(position(""), std::nullopt) << c.name;
        EXPECT_EQ(position(std::string(40, '\xff')), kind->latest()) << c.name;
    }
}

TEST(KeyKind, EndsOfEachKind)
{
    for (const KindCase &c : cases) {
        const auto kind = make_key_kind(c.name, c.storage);
        std::mt19937_64 random(1);
        for (Instant end : {kind->earliest(), kind->latest()})
            EXPECT_EQ(kind->instant_of(random_id(*kind, end, random)), end) << c.name;
        EXPECT_EQ(kind->round_up(INT64_MIN), kind->earliest());
        EXPECT_EQ(kind->round_up(INT64_MAX), kind->latest());
        EXPECT_EQ(kind->round_up(kind->earliest() + 1), kind->earliest() + kind->unit());
        EXPECT_EQ(kind->round_up(kind->earliest() + kind->unit()), kind->earliest() + kind->unit());
    }
}

// From 2059-05-25 17:38:27.456 on a cuid has a digit more, and sorts before those of 2026.
TEST(KeyKind, CuidsEndWithTheirEighthDigit)
{
    const auto kind = make_key_kind("cuid", IdStorage::text);
    EXPECT_EQ(kind->latest(), instant_of(2059, 5, 25) + (((17 * 60 + 38) * 60 + 27) * 1000 + 455) * ms);
    EXPECT_EQ(kind->smallest_at(kind->latest()).view(), "czzzzzzzz");
    EXPECT_EQ(kind->instant_of("c100000000"
                               "0000abcdabcdabcd"),
              std::nullopt);
    EXPECT_EQ(KindGrid(std::make_unique<TimeGrid>(Step{Unit::month, 1}, utc_zone()), *kind)
                  .cell_at(instant_of(2059, 5, 3)),
              std::nullopt);
    EXPECT_TRUE(KindGrid(std::make_unique<TimeGrid>(Step{Unit::month, 1}, utc_zone()), *kind)
                    .cell_at(instant_of(2059, 4, 3)));
}

TEST(KeyKind, RefusesWhatIsNoId)
{
    const struct {
        const char *kind;
        const char *id;
    } strangers[] = {
        {"cuid", "tz4a98xxat96iws9zmbrgj3a"}, // a cuid2
        {"cuid", "cm5d4ruo0000abcdabcdabcd"},
        {"cuid", "cm5d4ruo00000abcdabcdabcdx"},
        {"cuid", "cm5d4ruo00000ABCDabcdabcd"},
        {"cuid", "Cm5dchaio0000abcdabcdabcd"},
        {"cuid", ""},
        {"ulid", "01arz3ndektsv4rrffq69g5fav"},
        {"ulid", "81ARZ3NDEKTSV4RRFFQ69G5FAV"}, // beyond 48 bits
        {"ulid", "01ARZ3NDEKTSV4RRFFQ69G5FAU"}, // no U in the alphabet
        {"ulid_lower", "01ARZ3NDEKTSV4RRFFQ69G5FAV"},
        {"ksuid", "zzzzzzzzzzzzzzzzzzzzzzzzzzz"}, // beyond 160 bits
        {"ksuid", "0ujtsYcgvSTl8PAuAdqWYSMnLO"},
        {"objectid", "507F1F77BCF86CD799439011"},
        {"objectid", "507f1f77bcf86cd79943901"},
        {"uuidv7", "017f22e2-79b0-4cc3-98c4-dc0c0c07398f"}, // version 4
        {"uuidv7", "017f22e2-79b0-7cc3-58c4-dc0c0c07398f"}, // another variant
        {"uuidv7", "017F22E2-79B0-7CC3-98C4-DC0C0C07398F"},
        {"uuidv7", "017f22e279b0-7cc3-98c4-dc0c0c07398f0"},
        {"uuidv7", "{17f22e2-79b0-7cc3-98c4-dc0c0c07398}"},
    };
    for (const auto &[kind, id] : strangers)
        EXPECT_EQ(instant_in(kind, IdStorage::text, id), std::nullopt) << kind << " " << id;
    EXPECT_EQ(instant_in(twitter, IdStorage::bigint, image_of_bigint(-1).view()), std::nullopt);
    // The largest KSUID there is.
    EXPECT_TRUE(instant_in("ksuid", IdStorage::text, "aWgEPTl1tmebfsQzFP4bxwgy80V"));
}

TEST(KeyKind, NamesAreRefusedWhereTheyAreNone)
{
    for (const char *name :
         {"", "cuid2", "CUID", "cuid ", "snowflake", "snowflake()", "snowflake(1,)", "snowflake(,1)",
          "snowflake(1288834974657,9)", "snowflake(1288834974657,25)", "snowflake(1,22)x", "snowflake(-1,22)",
          "snowflake(9999999999999,22)", "snowflake(99999999999999999999,22)"})
        for (IdStorage storage : {IdStorage::text, IdStorage::uuid, IdStorage::bigint})
            EXPECT_FALSE(make_key_kind(name, storage)) << name;
    EXPECT_FALSE(make_key_kind("cuid", IdStorage::uuid));
    EXPECT_FALSE(make_key_kind("uuidv7", IdStorage::bigint));
    EXPECT_FALSE(make_key_kind(twitter, IdStorage::text));
    EXPECT_EQ(make_key_kind("snowflake(1, 22)", IdStorage::bigint)->name(), "snowflake(1,22)");
}

TEST(KeyKind, ImagesSortAsTheirValues)
{
    std::mt19937_64 random(3);
    for (int i = 0; i < 10000; ++i) {
        const auto a = static_cast<std::int64_t>(random()), b = static_cast<std::int64_t>(random());
        EXPECT_EQ(bigint_of_image(image_of_bigint(a).view()), a);
        EXPECT_EQ(a < b, image_of_bigint(a).view() < image_of_bigint(b).view());
    }
    const std::string text = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    EXPECT_EQ(uuid_text_of_image(image_of_uuid_text(text)->view()).view(), text);
}

TEST(KeyKind, WhatIsLikelyIsTriedOncePerStorage)
{
    EXPECT_EQ(likely_key_kinds(IdStorage::text).size(), 6u);
    EXPECT_EQ(likely_key_kinds(IdStorage::uuid).size(), 1u);
    EXPECT_EQ(likely_key_kinds(IdStorage::bigint).size(), 2u);
}

} // namespace
} // namespace privacy_scan::partition
