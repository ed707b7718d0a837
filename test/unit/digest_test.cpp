// The digest of rows: what it must tell apart, and what it must not.
#include "retention/digest.hpp"

#include <gtest/gtest.h>

namespace privacy_scan::retention
{
namespace
{

Digest row(std::initializer_list<std::pair<const char *, std::string>> columns)
{
    RowHash hash;
    for (const auto &[name, value] : columns)
        hash.add(hash_of_name(name), value.data(), value.size());
    return hash.finish();
}

TEST(RowHash, IsXxh3OfNameHashSizeAndBytes)
{
    // Pinned: a digest in a ledger must be computed alike by every later version.
    EXPECT_EQ(hex_of(row({})), "99aa06d3014798d86001c324468d497f");
    EXPECT_EQ(hex_of(row({{"id", "a"}})), "b7f648a78ea4fe74064584e3bcad1414");
    EXPECT_EQ(hex_of(row({{"id", "a"}, {"title", std::string(1000, 'x')}})),
              "43c7770fc7f155d8fdf1064e2abfa949");
    // More than is gathered.
    EXPECT_EQ(hex_of(row({{"id", "a"}, {"title", std::string(1000, 'x')}, {"z", std::string(3000, 'y')}, {"zz", "end"}})),
              "ea36e1e7bc12e04c1d4b22722d963727");
}

TEST(RowHash, TellsRowsApart)
{
    EXPECT_FALSE(row({{"a", "x"}}) == row({{"a", "y"}}));
    EXPECT_FALSE(row({{"a", "x"}}) == row({{"b", "x"}}));                         // the column counts
    EXPECT_FALSE(row({{"a", "xy"}, {"b", ""}}) == row({{"a", "x"}, {"b", "y"}})); // and where it ends
    EXPECT_FALSE(row({{"a", ""}}) == row({}));                                    // empty is not NULL
    EXPECT_FALSE(row({{"a", std::string(1, '\0')}}) == row({{"a", std::string(2, '\0')}}));
}

TEST(RowHash, CountsTheLogicalBytes)
{
    RowHash hash;
    hash.add(hash_of_name("a"), "12345", 5);
    hash.add(hash_of_name("b"), "", 0);
    EXPECT_EQ(hash.bytes(), 5u);
}

TEST(Digest, SumsDoNotDependOnTheOrder)
{
    const Digest a = row({{"id", "a"}}), b = row({{"id", "b"}}), c = row({{"id", "c"}});
    EXPECT_EQ(hex_of(a + b + c), hex_of(c + a + b));
    EXPECT_FALSE(a + a == a);     // a row that is there twice shows
    EXPECT_FALSE(a + b == a + c); // and one in the place of another
    EXPECT_FALSE(a + a == b + b); // an XOR would take these for equal
}

TEST(Digest, CarriesIntoTheHighHalf)
{
    EXPECT_EQ(hex_of(Digest{UINT64_MAX, 0} + Digest{1, 0}), "00000000000000010000000000000000");
    EXPECT_EQ(hex_of(Digest{UINT64_MAX, UINT64_MAX} + Digest{1, 0}), "00000000000000000000000000000000");
}

TEST(Digest, WhatWasAddedCanBeTakenAway)
{
    const Digest a = row({{"id", "a"}}), b = row({{"id", "b"}});
    EXPECT_EQ(hex_of(a + b - b), hex_of(a));
    EXPECT_EQ(hex_of(a + b - a), hex_of(b));
    EXPECT_EQ(hex_of(Digest{0, 1} - Digest{1, 0}), "0000000000000000ffffffffffffffff");
    EXPECT_EQ(hex_of(Digest{0, 0} - Digest{1, 0}), "ffffffffffffffffffffffffffffffff");
}

TEST(Digest, ComesBackFromItsText)
{
    const Digest digest = row({{"id", "a"}});
    EXPECT_TRUE(digest_of(hex_of(digest)) == digest);
    EXPECT_TRUE(digest_of("no digest") == Digest{});
}

} // namespace
} // namespace privacy_scan::retention
