// Arbitrary bytes, and sound documents damaged here and there, walked in every way: nothing outside of them
// is read, the short way answers as the long way, and a source that comes in pieces as one that is whole.
#include "json/key_memo.hpp"
#include "json/walker.hpp"

#include "fuzz.hpp"
#include "jsonb_writer.hpp"

using namespace privacy_scan::json;
using fuzz::check;
using fuzz::Input;

namespace
{

// A value that the input dictates.
Json make(Input &input, int depth)
{
    switch (input.number(depth < 4 ? 7 : 5)) {
    case 0:
        return Json();
    case 1:
        return Json::of(input.number(2) == 1);
    case 2:
        return Json::of(input.number(10000));
    case 3:
    case 4:
        return Json::of(input.text(input.number(40)));
    case 5: {
        Json array = Json::array({});
        for (int n = input.number(input.number(8) == 0 ? 70 : 5); n > 0; --n)
            array.elements.push_back(make(input, depth + 1));
        return array;
    }
    default: {
        Json object = Json::object({});
        for (int n = input.number(input.number(8) == 0 ? 70 : 6); n > 0; --n)
            object.pairs[input.text(input.number(6))] = make(input, depth + 1);
        return object;
    }
    }
}

bool fetch_all(ByteSource *source, std::uint32_t, std::uint32_t)
{
    source->ready = source->size;
    return true;
}

bool fetch_asked(ByteSource *source, std::uint32_t offset, std::uint32_t length)
{
    source->ready = offset + length;
    return true;
}

struct Document {
    explicit Document(const Bytes &content) : bytes(content), exact(new std::uint8_t[content.size()])
    {
        std::copy(content.begin(), content.end(), exact.get());
    }
    ByteSource source(bool is_whole) const
    {
        const auto size = static_cast<std::uint32_t>(bytes.size());
        return {exact.get(), is_whole ? size : 0, size, is_whole ? fetch_all : fetch_asked};
    }
    const Bytes &bytes;
    std::unique_ptr<std::uint8_t[]> exact;
};

void touch(ByteSource &source, const Value &value)
{
    const std::uint8_t *bytes = read(source, value.offset, value.length);
    for (std::uint32_t i = 0; bytes && i < value.length; ++i)
        fuzz::sink ^= bytes[i];
}

void visit(ByteSource &source, const Value &value, int depth, int &budget)
{
    if (value.kind < Kind::array) {
        touch(source, value);
        return;
    }
    Children children;
    Value key, child;
    if (depth > 30 || children.open(source, value) != Found::yes)
        return;
    while (budget-- > 0 && children.next(source, key, child) == Found::yes) {
        if (value.kind == Kind::object)
            touch(source, key);
        visit(source, child, depth + 1, budget);
    }
}

Found by_long_way(ByteSource source, const std::string &key, Value &value)
{
    Value root;
    const Found found = read_root(source, root);
    if (found != Found::yes || root.kind != Kind::object)
        return found == Found::damaged ? found : Found::no;
    return find_key(source, root, key.data(), static_cast<std::uint32_t>(key.size()), nullptr, value);
}

void look_up(const Document &document, const std::string &key, KeyMemo &memo)
{
    Value expected, value;
    const Found found = by_long_way(document.source(true), key, expected);
    check(by_long_way(document.source(false), key, value) == found);
    ByteSource source = document.source(true);
    const Step step{key.data(), static_cast<std::uint32_t>(key.size()), 0, false};
    const Recall recall = recall_key(source, 0, source.size, step, memo, value);
    if (recall == Recall::unsure) {
        Value root;
        if (read_root(source, root) == Found::yes && root.kind == Kind::object)
            (void)find_key(source, root, step.key, step.length, &memo, value);
        return;
    }
    if (found == Found::damaged) // the long way looks at more
        return;
    check((recall == Recall::yes) == (found == Found::yes));
    if (recall == Recall::yes) {
        check(value.kind == expected.kind && value.offset == expected.offset &&
              value.length == expected.length && value.count == expected.count &&
              value.truth == expected.truth);
        touch(source, value);
    }
}

void walk(const Document &document, const std::string &key, Input &input, KeyMemo &memo)
{
    look_up(document, key, memo);
    ByteSource source = document.source(input.number(2) == 0);
    Value at, next;
    if (read_root(source, at) != Found::yes)
        return;
    int budget = 500;
    visit(source, at, 0, budget);
    for (int n = input.number(6); n > 0; --n) {
        const std::string name = input.text(input.number(6));
        const Step step{name.data(), static_cast<std::uint32_t>(name.size()), input.number(10) - 5,
                        input.number(2) == 0};
        if (take_step(source, at, step, nullptr, next) != Found::yes)
            break;
        touch(source, next);
        at = next;
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    Input input(data, size);
    const bool is_made = input.number(4) != 0;
    const std::string key = input.text(input.number(6));
    KeyMemo memo{};
    if (!is_made) {
        const Bytes raw = input.rest();
        walk(Document(raw), key, input, memo);
        return 0;
    }
    Bytes bytes = write_jsonb(make(input, 0));
    walk(Document(bytes), key, input, memo);
    walk(Document(bytes), key, input, memo);
    for (int n = input.number(4); n > 0 && !bytes.empty(); --n)
        bytes[input.large(bytes.size())] ^= static_cast<std::uint8_t>(1 << input.number(8));
    if (input.number(4) == 0)
        bytes.resize(input.large(bytes.size() + 1));
    walk(Document(bytes), key, input, memo);
    walk(Document(bytes), key, input, memo);
    return 0;
}
