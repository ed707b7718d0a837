// Finding values: every shape, read no further than it takes, and bytes that cannot be right.
#include "json/key_memo.hpp"
#include "json/walker.hpp"

#include "jsonb_writer.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace privacy_scan::json
{
namespace
{

// A document on the heap to the byte, so that a read beyond it is seen; handed out only as far as it is asked
// for, piece by piece.
struct TestSource {
    explicit TestSource(const Bytes &document, bool is_whole = true)
        : bytes(new std::uint8_t[document.size()]), size(static_cast<std::uint32_t>(document.size()))
    {
        std::copy(document.begin(), document.end(), bytes.get());
        source = {bytes.get(), is_whole ? size : 0, size, fetch};
    }

    static bool fetch(ByteSource *source, std::uint32_t offset, std::uint32_t length)
    {
        source->ready = std::max(source->ready, offset + length);
        return true;
    }

    std::unique_ptr<std::uint8_t[]> bytes;
    std::uint32_t size;
    ByteSource source;
};

std::string text_of(ByteSource &source, const Value &value)
{
    const std::uint8_t *bytes = read(source, value.offset, value.length);
    return bytes ? std::string(reinterpret_cast<const char *>(bytes), value.length) : "unreadable";
}

Found find(ByteSource &source, const std::string &key, KeyMemo *memo, Value &value)
{
    Value root;
    const Found found = read_root(source, root);
    if (found != Found::yes || root.kind != Kind::object)
        return found == Found::damaged ? found : Found::no;
    return find_key(source, root, key.data(), static_cast<std::uint32_t>(key.size()), memo, value);
}

// The short way, and the long way where that is unsure.
Found find_shortly(ByteSource &source, const std::string &key, KeyMemo &memo, Value &value)
{
    const Step step{key.data(), static_cast<std::uint32_t>(key.size()), 0, false};
    switch (recall_key(source, 0, source.size, step, memo, value)) {
    case Recall::yes:
        return Found::yes;
    case Recall::no:
        return Found::no;
    default:
        return find(source, key, &memo, value);
    }
}

Json numbered(int count, int width)
{
    Json object = Json::object({});
    for (int i = 0; i < count; ++i) {
        std::string key = std::to_string(i);
        key.insert(0, key.size() < static_cast<std::size_t>(width) ? width - key.size() : 0, 'k');
        object.pairs[key] = Json::of("value " + std::to_string(i));
    }
    return object;
}

class Objects : public testing::TestWithParam<std::tuple<int, int>>
{
};

TEST_P(Objects, HaveEveryKeyOfTheirsAndNoOther)
{
    const auto [count, width] = GetParam();
    const Json object = numbered(count, width);
    const Bytes document = write_jsonb(object);
    TestSource whole(document);
    for (const auto &[key, expected] : object.pairs) {
        TestSource piecewise(document, false);
        for (ByteSource *source : {&whole.source, &piecewise.source}) {
            Value value;
            ASSERT_EQ(find(*source, key, nullptr, value), Found::yes) << key;
            EXPECT_EQ(value.kind, Kind::string);
            EXPECT_EQ(text_of(*source, value), expected.text);
        }
        Value value;
        KeyMemo own{};
        for (int call = 0; call < 3; ++call) {
            ASSERT_EQ(find_shortly(whole.source, key, own, value), Found::yes) << key;
            EXPECT_EQ(text_of(whole.source, value), expected.text);
        }
    }
    for (const std::string key : {"", "nope", "k", "kk00", "an absent key that is long"}) {
        Value value;
        KeyMemo own{};
        for (int call = 0; call < 2; ++call)
            EXPECT_EQ(find_shortly(whole.source, key, own, value), Found::no) << key;
    }
}

INSTANTIATE_TEST_SUITE_P(Sizes, Objects,
                         testing::Combine(testing::Values(0, 1, 2, 31, 32, 33, 47, 48, 49, 64, 5000),
                                          testing::Values(0, 8)));

TEST(Walker, ReadsNoFurtherThanItTakes)
{
    Json object = numbered(10, 3);
    object.pairs["the last, a long one"] = Json::of(std::string(100000, 'x'));
    const Bytes document = write_jsonb(object);
    TestSource source(document, false);
    Value value;
    ASSERT_EQ(find(source.source, "kk3", nullptr, value), Found::yes);
    EXPECT_LT(source.source.ready, 400u);
    TestSource absent(document, false);
    ASSERT_EQ(find(absent.source, "kkk", nullptr, value), Found::no);
    EXPECT_LT(absent.source.ready, 400u);
}

TEST(Walker, TakesTheEmptyKey)
{
    TestSource source(write_jsonb(Json::object({{"", Json::of("empty")}, {"a", Json::of("b")}})));
    Value value;
    ASSERT_EQ(find(source.source, "", nullptr, value), Found::yes);
    EXPECT_EQ(text_of(source.source, value), "empty");
}

TEST(Walker, KnowsEveryKind)
{
    TestSource source(write_jsonb(Json::object({{"n", Json()},
                                                {"t", Json::of(true)},
                                                {"f", Json::of(false)},
                                                {"i", Json::of(42)},
                                                {"a", Json::array({Json::of(1), Json::of("x")})},
                                                {"o", Json::object({{"k", Json::of("v")}})}})));
    const std::pair<const char *, Kind> expected[] = {{"n", Kind::null},    {"t", Kind::boolean},
                                                      {"f", Kind::boolean}, {"i", Kind::number},
                                                      {"a", Kind::array},   {"o", Kind::object}};
    for (const auto &[key, kind] : expected) {
        Value value;
        KeyMemo memo{};
        for (int call = 0; call < 2; ++call) {
            ASSERT_EQ(find_shortly(source.source, key, memo, value), Found::yes);
            EXPECT_EQ(value.kind, kind) << key;
            EXPECT_EQ(value.truth, *key == 't');
            EXPECT_EQ(value.count, *key == 'a' ? 2u : *key == 'o' ? 1u : 0u);
        }
    }
}

TEST(Walker, TakesAScalarForItsRoot)
{
    const std::pair<Json, Kind> roots[] = {{Json::of("word"), Kind::string},
                                           {Json::of(7), Kind::number},
                                           {Json::of(true), Kind::boolean},
                                           {Json(), Kind::null}};
    for (const auto &[json, kind] : roots) {
        TestSource source(write_jsonb(json));
        Value root;
        ASSERT_EQ(read_root(source.source, root), Found::yes);
        EXPECT_EQ(root.kind, kind);
    }
}

TEST(Walker, CountsElementsFromBothEnds)
{
    std::vector<Json> elements;
    for (int i = 0; i < 70; ++i)
        elements.push_back(Json::of("e" + std::to_string(i)));
    TestSource source(write_jsonb(Json::array(elements)));
    Value root, value;
    ASSERT_EQ(read_root(source.source, root), Found::yes);
    for (const int index : {0, 1, 31, 32, 33, 69, -1, -70}) {
        ASSERT_EQ(take_step(source.source, root, {"", 0, index, true}, nullptr, value), Found::yes) << index;
        EXPECT_EQ(text_of(source.source, value), "e" + std::to_string(index < 0 ? 70 + index : index));
    }
    for (const int index : {70, 71, -71, INT32_MAX, INT32_MIN})
        EXPECT_EQ(take_step(source.source, root, {"", 0, index, true}, nullptr, value), Found::no) << index;
    EXPECT_EQ(take_step(source.source, root, {"x", 1, 0, false}, nullptr, value), Found::no);
    Value element = value;
    element.kind = Kind::string;
    EXPECT_EQ(take_step(source.source, element, {"x", 1, 0, true}, nullptr, value), Found::no);
}

TEST(Walker, ListsChildrenInOrder)
{
    const Json object = numbered(70, 5);
    TestSource source(write_jsonb(object));
    Value root, key, value;
    Children children;
    ASSERT_EQ(read_root(source.source, root), Found::yes);
    ASSERT_EQ(children.open(source.source, root), Found::yes);
    for (const auto &[name, child] : object.pairs) {
        ASSERT_EQ(children.next(source.source, key, value), Found::yes);
        EXPECT_EQ(text_of(source.source, key), name);
        EXPECT_EQ(text_of(source.source, value), child.text);
    }
    EXPECT_EQ(children.next(source.source, key, value), Found::no);
}

// Documents of several shapes in turn, so that the memo guesses right and wrong, rests and begins anew.
TEST(KeyMemo, NeverChangesAnAnswer)
{
    const Json shapes[] = {
        Json::object({{"a", Json::of("1")}, {"b", Json::of("2")}, {"domain", Json::of("x")}}),
        Json::object({{"a", Json::of("1")}, {"c", Json::of("2")}, {"domain", Json::of("y")}}),
        Json::object({{"domain", Json::of("z")}}),
        Json::object({{"a", Json::of(1)}, {"b", Json::of(2)}, {"domaim", Json::of("no")}}),
        Json::object({{"a", Json()},
                      {"bb", Json()},
                      {"domaim", Json()},
                      {"domain", Json::of("w")},
                      {"domaio", Json()}}),
        Json::object({}),
        Json::array({Json::of("domain")}),
        Json::of("domain"),
        numbered(60, 6),
    };
    std::vector<std::unique_ptr<TestSource>> sources;
    for (const Json &shape : shapes)
        sources.push_back(std::make_unique<TestSource>(write_jsonb(shape)));
    for (const std::string key : {"domain", "a", "b", "bb", "nope"}) {
        KeyMemo memo{};
        unsigned random = 1;
        for (int call = 0; call < 20000; ++call) {
            random = random * 1664525 + 1013904223;
            const bool steady = call / 500 % 2 == 0;
            ByteSource &source = sources[steady ? call / 1000 % 9 : (random >> 16) % 9]->source;
            Value expected, value;
            const Found found = find(source, key, nullptr, expected);
            ASSERT_EQ(find_shortly(source, key, memo, value), found) << key << ", call " << call;
            if (found == Found::yes) {
                ASSERT_EQ(value.offset, expected.offset);
                ASSERT_EQ(value.length, expected.length);
                ASSERT_EQ(value.kind, expected.kind);
            }
        }
    }
}

Json small_document()
{
    return Json::object({{"a", Json::of("text")},
                         {"bc", Json::array({Json::of(1), Json(), Json::object({{"x", Json::of(true)}})})},
                         {"n", Json::of(1234)},
                         {"o", Json::object({{"deep", Json::of("er")}, {"dee", Json::of(9)}})}});
}

// Walks the whole document in every way. What it finds is of no interest: the sanitizers watch.
void visit(ByteSource &source, const Value &value, int depth)
{
    if (value.kind < Kind::array || depth > 20) {
        (void)text_of(source, value);
        return;
    }
    Children children;
    Value key, child;
    if (children.open(source, value) != Found::yes)
        return;
    for (int n = 0; n < 100 && children.next(source, key, child) == Found::yes; ++n)
        visit(source, child, depth + 1);
}

// A memo a key, as call sites have them.
using Memos = std::map<std::string, KeyMemo>;

void visit_all(const Bytes &document, Memos &memos)
{
    TestSource source(document), piecewise(document, false);
    Value root, value;
    if (read_root(source.source, root) == Found::yes)
        visit(source.source, root, 0);
    for (const std::string key : {"a", "bc", "n", "o", "zz", ""}) {
        (void)find(source.source, key, nullptr, value);
        (void)find(piecewise.source, key, nullptr, value);
        if (find_shortly(source.source, key, memos[key], value) == Found::yes)
            (void)text_of(source.source, value);
    }
}

TEST(DamagedDocuments, AreNeverReadBeyondTheirBytes)
{
    const Bytes sound = write_jsonb(small_document());
    Memos memos;
    for (std::size_t at = 0; at < sound.size(); ++at) {
        for (const int bit : {0, 1, 2, 3, 4, 5, 6, 7}) {
            Bytes damaged = sound;
            damaged[at] = static_cast<std::uint8_t>(damaged[at] ^ 1 << bit);
            visit_all(damaged, memos);
            visit_all(sound, memos);
        }
        for (const int byte : {0, 0x20, 0x7f, 0x80, 0xff}) {
            Bytes damaged = sound;
            damaged[at] = static_cast<std::uint8_t>(byte);
            visit_all(damaged, memos);
            visit_all(damaged, memos);
        }
    }
}

TEST(DamagedDocuments, AreReportedWhereTheyEndTooSoon)
{
    const Bytes sound = write_jsonb(small_document());
    Memos memos;
    for (std::size_t size = 0; size < sound.size(); ++size) {
        const Bytes cut(sound.begin(), sound.begin() + static_cast<std::ptrdiff_t>(size));
        visit_all(cut, memos);
        TestSource source(cut);
        Value value;
        EXPECT_NE(find(source.source, "bc", nullptr, value), Found::yes) << size; // the last value
    }
}

// Keys that end before they begin: the memo must not take their sum for the end of all.
TEST(DamagedDocuments, LeaveNoMemoThatReachesOutside)
{
    const std::string key(1000, 'x');
    // Ends of four keys: 1, 1001 (the one that is looked for), 3000 (too long), 2.
    const std::uint32_t words[] = {0x20000004, 0x80000001, 0x800003e9, 0x80000bb8, 0x80000002,
                                   0x40000000, 0x40000000, 0x40000000, 0x40000000, 0};
    Bytes document(sizeof words);
    std::memcpy(document.data(), words, sizeof words);
    TestSource source(document);
    KeyMemo memo{};
    for (int call = 0; call < 3; ++call) {
        Value value;
        EXPECT_NE(find_shortly(source.source, key, memo, value), Found::yes);
    }
}

TEST(DamagedDocuments, SayThatTheyAre)
{
    auto found_with = [](std::size_t at, std::uint32_t word, const char *key) {
        Bytes document = write_jsonb(small_document());
        std::memcpy(document.data() + at, &word, 4);
        TestSource source(document);
        Value value;
        return find(source.source, key, nullptr, value);
    };
    EXPECT_EQ(found_with(0, 0x2fffffff, "a"), Found::damaged);  // more keys than there is room for
    EXPECT_EQ(found_with(0, 0x00000004, "a"), Found::damaged);  // neither object nor array
    EXPECT_EQ(found_with(0, 0x60000004, "a"), Found::damaged);  // both
    EXPECT_EQ(found_with(4, 0x8fffffff, "a"), Found::no);       // a key that is far too long
    EXPECT_EQ(found_with(20, 0x0fffffff, "a"), Found::damaged); // a value that is
    EXPECT_EQ(found_with(20, 0x70000004, "a"), Found::damaged); // of no type
}

} // namespace
} // namespace privacy_scan::json
