// See jsonb_writer.hpp.
#include "jsonb_writer.hpp"

#include <cstring>

namespace privacy_scan::json
{

namespace
{

void put_word(Bytes &out, std::uint32_t word)
{
    std::uint8_t bytes[4];
    std::memcpy(bytes, &word, 4);
    out.insert(out.end(), bytes, bytes + 4);
}

void set_word(Bytes &out, std::size_t at, std::uint32_t word)
{
    std::memcpy(out.data() + at, &word, 4);
}

void pad(Bytes &out)
{
    while (out.size() % 4 != 0)
        out.push_back(0);
}

constexpr std::uint32_t type_bits[] = {0x40000000, 0x00000000, 0x10000000,
                                       0x20000000, 0x50000000, 0x50000000};

void put_container(Bytes &out, const Json &value);

// Appends the bytes of a value; returns the type bits of its entry.
std::uint32_t put_value(Bytes &out, const Json &value)
{
    switch (value.type) {
    case Json::Type::string:
        out.insert(out.end(), value.text.begin(), value.text.end());
        break;
    case Json::Type::number: {
        pad(out);
        const Bytes number = write_numeric(value.number);
        out.insert(out.end(), number.begin(), number.end());
        break;
    }
    case Json::Type::array:
    case Json::Type::object:
        pad(out);
        put_container(out, value);
        break;
    default:
        break;
    }
    if (value.type == Json::Type::boolean && value.truth)
        return 0x30000000;
    return type_bits[static_cast<int>(value.type)];
}

// Entries and data of all children; every 32nd entry says where its child ends instead of how long it is.
void put_children(Bytes &out, const std::vector<const Json *> &children)
{
    const std::size_t entries = out.size();
    for (std::size_t i = 0; i < children.size(); ++i)
        put_word(out, 0);
    const std::size_t data = out.size();
    for (std::size_t i = 0; i < children.size(); ++i) {
        const std::size_t begin = out.size();
        const std::uint32_t type = put_value(out, *children[i]);
        const bool has_end = i % 32 == 0;
        const std::size_t size = out.size() - (has_end ? data : begin);
        set_word(out, entries + 4 * i, type | static_cast<std::uint32_t>(size) | (has_end ? 0x80000000u : 0));
    }
}

void put_container(Bytes &out, const Json &value)
{
    std::vector<const Json *> children;
    std::vector<Json> keys;
    const bool is_object = value.type == Json::Type::object;
    const std::size_t count = is_object ? value.pairs.size() : value.elements.size();
    put_word(out, static_cast<std::uint32_t>(count) | (is_object ? 0x20000000u : 0x40000000u));
    for (const auto &[key, child] : value.pairs)
        keys.push_back(Json::of(key));
    for (const Json &key : keys)
        children.push_back(&key);
    for (const auto &[key, child] : value.pairs)
        children.push_back(&child);
    for (const Json &element : value.elements)
        children.push_back(&element);
    put_children(out, children);
}

} // namespace

Json Json::of(const std::string &text)
{
    Json value;
    value.type = Type::string;
    value.text = text;
    return value;
}

Json Json::of(int number)
{
    Json value;
    value.type = Type::number;
    value.number = number;
    return value;
}

Json Json::of(bool truth)
{
    Json value;
    value.type = Type::boolean;
    value.truth = truth;
    return value;
}

Json Json::array(std::vector<Json> elements)
{
    Json value;
    value.type = Type::array;
    value.elements = std::move(elements);
    return value;
}

Json Json::object(std::map<std::string, Json, KeyOrder> pairs)
{
    Json value;
    value.type = Type::object;
    value.pairs = std::move(pairs);
    return value;
}

Bytes write_jsonb(const Json &root)
{
    Bytes out;
    if (root.type == Json::Type::array || root.type == Json::Type::object) {
        put_container(out, root);
    } else {
        put_word(out, 0x50000001); // an array of one that stands for its element
        put_children(out, {&root});
    }
    return out;
}

Bytes write_numeric(int number)
{
    Bytes out;
    const bool is_zero = number == 0;
    put_word(out, (is_zero ? 6u : 8u) << 2);
    out.push_back(0x00);
    out.push_back(0x80); // short, positive, no decimals, weight 0
    if (!is_zero) {
        out.push_back(static_cast<std::uint8_t>(number & 255));
        out.push_back(static_cast<std::uint8_t>(number >> 8));
    }
    return out;
}

} // namespace privacy_scan::json
