// The profile of documents: paths, shares, estimates, and nothing of what is in them.
#include "json/profile_tree.hpp"

#include "jsonb_writer.hpp"

#include <gtest/gtest.h>

namespace privacy_scan::json
{
namespace
{

bool add(ProfileTree &tree, const Json &json)
{
    const Bytes document = write_jsonb(json);
    const auto size = static_cast<std::uint32_t>(document.size());
    ByteSource source{document.data(), size, size, nullptr};
    return tree.add(source);
}

const ProfileTree::Row *row_of(const std::vector<ProfileTree::Row> &rows, const std::string &path)
{
    for (const ProfileTree::Row &row : rows)
        if (row.path == path)
            return &row;
    return nullptr;
}

TEST(ProfileTree, ListsPathsAsJsonpathWritesThem)
{
    ProfileTree tree;
    ASSERT_TRUE(
        add(tree, Json::object({{"a b", Json::of(1)},
                                {"list", Json::array({Json::object({{"x", Json::of("v")}}), Json::of(2)})},
                                {"q\"\\\n", Json()},
                                {"1st", Json::of(true)}})));
    std::vector<std::string> paths;
    for (const ProfileTree::Row &row : tree.rows())
        paths.push_back(row.path);
    EXPECT_EQ(paths, (std::vector<std::string>{"$", "$.\"1st\"", "$.\"a b\"", "$.list", "$.list[*]",
                                               "$.list[*].x", "$.\"q\\\"\\\\\\u000a\""}));
}

TEST(ProfileTree, CountsDocumentsAndKinds)
{
    ProfileTree tree;
    for (int i = 0; i < 100; ++i)
        ASSERT_TRUE(add(tree, i % 4 == 0
                                  ? Json::object({{"a", Json::array({Json::of(i), Json::of("s"), Json()})}})
                                  : Json::object({{"b", Json::of("text")}})));
    const auto rows = tree.rows();
    EXPECT_EQ(row_of(rows, "$")->documents, 100);
    EXPECT_EQ(row_of(rows, "$.a")->documents, 25);
    EXPECT_EQ(row_of(rows, "$.a[*]")->documents, 25);
    EXPECT_EQ(row_of(rows, "$.a[*]")->profile->occurrences, 75);
    EXPECT_EQ(row_of(rows, "$.a[*]")->profile->of_kind[static_cast<int>(Kind::null)], 25);
    EXPECT_EQ(row_of(rows, "$.a[*]")->depth, 2);
    EXPECT_EQ(row_of(rows, "$.b")->documents, 75);
    EXPECT_EQ(row_of(rows, "$.b")->profile->distinct.estimate(), 1);
    EXPECT_EQ(row_of(rows, "$.b")->profile->width_max, 4u);
}

// Keys that are data are not shown, wherever they are and whenever that turns out.
TEST(ProfileTree, TakesManyKeysForAMap)
{
    ProfileTree tree;
    for (int i = 0; i < 300; ++i)
        ASSERT_TRUE(add(
            tree,
            Json::object({{"by_site", Json::object({{"site-" + std::to_string(i) + ".example",
                                                     Json::object({{"hits", Json::of(i)}})},
                                                    {"common", Json::object({{"hits", Json::of(1)}})}})}})));
    const auto rows = tree.rows();
    ASSERT_EQ(rows.size(), 4u);
    EXPECT_EQ(rows[2].path, "$.by_site.*");
    EXPECT_EQ(rows[2].profile->occurrences, 600);
    EXPECT_EQ(rows[2].documents, 300);
    EXPECT_EQ(rows[3].path, "$.by_site.*.hits");
    for (const ProfileTree::Row &row : rows)
        EXPECT_EQ(row.path.find("site-"), std::string::npos);
}

TEST(ProfileTree, GoesOnlySoDeep)
{
    Json deep = Json::of(1);
    for (int i = 0; i < 100; ++i)
        deep = Json::array({deep});
    ProfileTree tree;
    ASSERT_TRUE(add(tree, deep));
    EXPECT_EQ(tree.rows().back().depth, ProfileTree::most_depth);
}

TEST(ProfileTree, SaysThatADocumentIsDamaged)
{
    Bytes document = write_jsonb(Json::object({{"a", Json::of("b")}}));
    document[8] = 0xff;
    document[9] = 0xff;
    const auto size = static_cast<std::uint32_t>(document.size());
    ByteSource source{document.data(), size, size, nullptr};
    ProfileTree tree;
    EXPECT_FALSE(tree.add(source));
}

TEST(DistinctSketch, IsExactForFewAndNearForMany)
{
    auto hash = [](std::uint64_t n) { // splitmix64
        n += 0x9e3779b97f4a7c15;
        n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9;
        n = (n ^ n >> 27) * 0x94d049bb133111eb;
        return n ^ n >> 31;
    };
    for (const std::uint64_t count : {0, 1, 100, 255}) {
        DistinctSketch sketch;
        for (std::uint64_t i = 0; i < 3 * count; ++i)
            sketch.add(hash(i % count));
        EXPECT_EQ(sketch.estimate(), static_cast<double>(count));
    }
    for (const std::uint64_t count : {1000, 20000, 500000}) {
        DistinctSketch sketch, half, other;
        for (std::uint64_t i = 0; i < count; ++i) {
            sketch.add(hash(i));
            (i % 2 ? half : other).add(hash(i));
        }
        EXPECT_NEAR(sketch.estimate() / static_cast<double>(count), 1, 0.2);
        half.merge(other);
        EXPECT_EQ(half.estimate(), sketch.estimate());
    }
}

} // namespace
} // namespace privacy_scan::json
