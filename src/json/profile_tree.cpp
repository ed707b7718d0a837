// See profile_tree.hpp.
#include "json/profile_tree.hpp"

#include <algorithm>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace privacy_scan::json
{

void DistinctSketch::add(std::uint64_t hash)
{
    if (smallest_.size() == most && hash >= smallest_.back())
        return;
    const auto place = std::lower_bound(smallest_.begin(), smallest_.end(), hash);
    if (place != smallest_.end() && *place == hash)
        return;
    smallest_.insert(place, hash);
    if (smallest_.size() > most)
        smallest_.pop_back();
}

void DistinctSketch::merge(const DistinctSketch &other)
{
    for (const std::uint64_t hash : other.smallest_)
        add(hash);
}

double DistinctSketch::estimate() const
{
    if (smallest_.size() < most)
        return static_cast<double>(smallest_.size());
    return (most - 1) * 18446744073709551616.0 / static_cast<double>(smallest_.back());
}

// A key that reads like a name stands as it is, another one in quotes.
static std::string key_step(const std::string &key)
{
    const auto is_letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    };
    const auto is_plain = [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); };
    if (!key.empty() && is_letter(key[0]) && std::all_of(key.begin(), key.end(), is_plain))
        return "." + key;
    static const char digits[] = "0123456789abcdef";
    std::string quoted = ".\"";
    for (const char c : key) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < ' ')
            quoted += std::string("\\u00") + digits[byte >> 4] + digits[byte & 15];
        else
            quoted += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
    }
    return quoted + "\"";
}

bool ProfileTree::add(ByteSource &source)
{
    Value root;
    ++documents_;
    return read_root(source, root) == Found::yes && add_value(root_, source, root, 0);
}

bool ProfileTree::add_value(Node &node, ByteSource &source, const Value &value, int depth)
{
    PathProfile &profile = node.profile;
    profile.documents += node.last_document != documents_;
    node.last_document = documents_;
    ++profile.occurrences;
    ++profile.of_kind[static_cast<int>(value.kind)];
    profile.width_sum += value.length;
    profile.width_max = std::max(profile.width_max, value.length);
    if (value.kind == Kind::array || value.kind == Kind::object)
        return depth == most_depth || add_children(node, source, value, depth);
    if (value.kind == Kind::null)
        return true;
    const std::uint8_t *bytes = read(source, value.offset, value.length);
    if (!bytes)
        return false;
    const std::uint64_t seed = static_cast<std::uint64_t>(value.kind) * 2 + value.truth;
    profile.distinct.add(XXH3_64bits_withSeed(bytes, value.length, seed));
    return true;
}

bool ProfileTree::add_children(Node &node, ByteSource &source, const Value &container, int depth)
{
    Children children;
    if (children.open(source, container) != Found::yes)
        return false;
    for (;;) {
        Value key, value;
        const Found found = children.next(source, key, value);
        if (found != Found::yes)
            return found == Found::no;
        Node *child;
        if (container.kind == Kind::array) {
            if (!node.elements)
                node.elements = std::make_unique<Node>();
            child = node.elements.get();
        } else {
            const std::uint8_t *bytes = read(source, key.offset, key.length);
            if (!bytes)
                return false;
            child = &child_of(node, std::string(reinterpret_cast<const char *>(bytes), key.length));
        }
        if (!add_value(*child, source, value, depth + 1))
            return false;
    }
}

ProfileTree::Node &ProfileTree::child_of(Node &node, const std::string &key)
{
    std::unique_ptr<Node> &child = node.keys[node.is_map ? "*" : key];
    if (!child)
        child = std::make_unique<Node>();
    if (node.keys.size() <= most_keys)
        return *child;
    make_map(node);
    return *node.keys["*"];
}

void ProfileTree::make_map(Node &node)
{
    auto all = std::make_unique<Node>();
    for (auto &[name, child] : node.keys)
        merge(*all, *child);
    node.keys.clear();
    node.keys["*"] = std::move(all);
    node.is_map = true;
}

void ProfileTree::merge(Node &into, Node &from)
{
    PathProfile &profile = into.profile;
    profile.documents += from.profile.documents;
    profile.occurrences += from.profile.occurrences;
    for (std::size_t i = 0; i < 6; ++i)
        profile.of_kind[i] += from.profile.of_kind[i];
    profile.width_sum += from.profile.width_sum;
    profile.width_max = std::max(profile.width_max, from.profile.width_max);
    profile.distinct.merge(from.profile.distinct);
    into.last_document = std::max(into.last_document, from.last_document);
    if (from.is_map && !into.is_map)
        make_map(into);
    for (auto &[name, child] : from.keys)
        merge(child_of(into, name), *child);
    if (from.elements) {
        if (!into.elements)
            into.elements = std::make_unique<Node>();
        merge(*into.elements, *from.elements);
    }
}

// What was merged may have been counted for several keys of one document.
void ProfileTree::list(const Node &node, const Row &self, std::vector<Row> &out)
{
    out.push_back(self);
    const auto below = [&](const std::string &step, const Node &child) {
        const std::int64_t documents = std::min(self.documents, child.profile.documents);
        list(child, {self.path + step, self.depth + 1, documents, &child.profile}, out);
    };
    for (const auto &[key, child] : node.keys)
        below(node.is_map ? ".*" : key_step(key), *child);
    if (node.elements)
        below("[*]", *node.elements);
}

std::vector<ProfileTree::Row> ProfileTree::rows() const
{
    std::vector<Row> out;
    if (documents_ > 0)
        list(root_, {"$", 0, root_.profile.documents, &root_.profile}, out);
    return out;
}

} // namespace privacy_scan::json
