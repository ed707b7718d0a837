// Finds one value in a jsonb document and reads no more of it than that takes: headers, keys, the value.
// Every read is checked against the bounds of the document and of the container it is in: whatever the bytes,
// nothing outside the document is touched, and what cannot be right is reported as damaged. Pure.
#pragma once

#include "json/byte_source.hpp"

#include <cstddef>

namespace privacy_scan::json
{

enum class Found : std::uint8_t { yes, no, damaged };

enum class Kind : std::uint8_t { null, string, number, boolean, array, object };

// A value's place in its document. Of a container: with its header. Of a number: PostgreSQL's numeric, a
// varlena. Of null and booleans: nothing.
struct Value {
    Kind kind;
    bool truth; // of a boolean
    std::uint32_t offset;
    std::uint32_t length;
    std::uint32_t count; // of a container: elements, or pairs
};

struct KeyMemo;

// A step of a path: a key in an object, an index in an array.
struct Step {
    const char *key;
    std::uint32_t length;
    std::int32_t index; // from the end where negative
    bool is_index;      // can the key be an array's index at all?
};

// The root: an array or object, or the element where the document is a scalar.
Found read_root(ByteSource &source, Value &root);

// The value of a key in an object. The memo may be null.
Found find_key(ByteSource &source, const Value &object, const char *key, std::uint32_t length, KeyMemo *memo,
               Value &value);

// An element of an array, counted from 0.
Found find_element(ByteSource &source, const Value &array, std::uint32_t index, Value &value);

// One step from a value, by key or index as the value is an object or array; no where it is neither.
Found take_step(ByteSource &source, const Value &from, const Step &step, KeyMemo *memo, Value &value);

// The children of a container one by one, in their stored order. Each costs O(1).
class Children
{
  public:
    // Reads the container's words. Damaged where they don't fit.
    Found open(ByteSource &source, const Value &container);

    // The next pair of an object (key: a string value), or element of an array (key untouched). No at the
    // end.
    Found next(ByteSource &source, Value &key, Value &value);

  private:
    Found child(ByteSource &source, std::uint32_t index, std::uint32_t &begin, Value &value) const;

    std::uint32_t entries_ = 0, data_ = 0, data_size_ = 0, count_ = 0, position_ = 0;
    std::uint32_t key_begin_ = 0, value_begin_ = 0;
    bool is_object_ = false;
};

} // namespace privacy_scan::json
