// What documents have in common: a tree of the paths seen in them, with counts, and never a value. Pure.
#pragma once

#include "json/walker.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace privacy_scan::json
{

// Estimates how many different values it was shown: keeps the smallest of their hashes and looks how dense
// they are. Exact up to `most`, beyond it with a standard error of about 6 %. Method: "k minimum values",
// Bar-Yossef et al., Counting distinct elements in a data stream, 2002.
class DistinctSketch
{
  public:
    static constexpr std::size_t most = 256;
    void add(std::uint64_t hash);
    void merge(const DistinctSketch &other);
    double estimate() const;

  private:
    std::vector<std::uint64_t> smallest_; // sorted
};

// One path.
struct PathProfile {
    std::int64_t documents = 0;   // that have it
    std::int64_t occurrences = 0; // more where it leads through arrays
    std::int64_t of_kind[6] = {}; // by Kind
    double width_sum = 0;         // bytes as stored
    std::uint32_t width_max = 0;
    DistinctSketch distinct; // of strings, numbers and booleans
};

class ProfileTree
{
  public:
    // An object with more keys than this over all documents is taken for a map: its keys are data, and count
    // as one, `*`.
    static constexpr std::size_t most_keys = 100;
    static constexpr int most_depth = 32; // deeper values are counted at none of their paths

    // Takes a document in. False where it is damaged; what was read of it until then counts.
    bool add(ByteSource &source);

    std::int64_t documents() const { return documents_; }

    struct Row {
        std::string path;       // as jsonpath has it: $.cookies[*].name
        int depth;              // steps from the root
        std::int64_t documents; // that have it; of a map's keys, at most
        const PathProfile *profile;
    };
    // Every path, parents before what is below them, keys in the order of their bytes.
    std::vector<Row> rows() const;

  private:
    struct Node {
        PathProfile profile;
        std::int64_t last_document = 0;
        bool is_map = false;
        std::map<std::string, std::unique_ptr<Node>> keys;
        std::unique_ptr<Node> elements;
    };

    bool add_value(Node &node, ByteSource &source, const Value &value, int depth);
    bool add_children(Node &node, ByteSource &source, const Value &container, int depth);
    static Node &child_of(Node &node, const std::string &key);
    static void make_map(Node &node);
    static void merge(Node &into, Node &from);
    static void list(const Node &node, const Row &self, std::vector<Row> &out);

    Node root_;
    std::int64_t documents_ = 0;
};

} // namespace privacy_scan::json
