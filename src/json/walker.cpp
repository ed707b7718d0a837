// See walker.hpp.
#include "json/walker.hpp"

#include "json/jsonb_layout.hpp"
#include "json/key_memo.hpp"

namespace privacy_scan::json
{

namespace
{

constexpr std::uint32_t word = 4;

// An object's or array's words and where its data begin.
struct Container {
    std::uint32_t entries; // offset of the first entry in the document
    std::uint32_t data;    // offset of the children's bytes
    std::uint32_t data_size;
};

// The value holds a header, as whoever made it has checked.
bool lay_out(const Value &container, Container &out)
{
    const std::uint32_t words = container.kind == Kind::object ? 2 * container.count : container.count;
    if (words > (container.length - word) / word)
        return false;
    out.entries = container.offset + word;
    out.data = out.entries + words * word;
    out.data_size = container.length - word - words * word;
    return true;
}

inline std::uint32_t entry_at(const std::uint8_t *entries, std::uint32_t index)
{
    return load_word(entries + std::size_t{index} * word);
}

inline std::uint32_t end_after(std::uint32_t begin, std::uint32_t entry)
{
    const std::uint32_t size = entry & entry_size_mask;
    return entry & entry_has_end ? size : begin + size;
}

// Where a child begins: the end of the one before it, counted from the last that says where it ends. False
// where that cannot be in the data.
inline bool begin_of(const std::uint8_t *entries, std::uint32_t index, std::uint32_t data_size,
                     std::uint32_t &begin)
{
    std::uint64_t offset = 0;
    while (index > 0) {
        const std::uint32_t entry = entry_at(entries, --index);
        offset += entry & entry_size_mask;
        if (entry & entry_has_end)
            break;
    }
    begin = static_cast<std::uint32_t>(offset);
    return offset <= data_size;
}

inline bool length_of(const std::uint8_t *entries, std::uint32_t index, std::uint32_t data_size,
                      std::uint32_t &length)
{
    const std::uint32_t entry = entry_at(entries, index);
    length = entry & entry_size_mask;
    if (!(entry & entry_has_end))
        return true;
    std::uint32_t begin;
    if (!begin_of(entries, index, data_size, begin) || begin > length)
        return false;
    length -= begin;
    return true;
}

// Reads the header of a container of this place and length.
Found read_container(ByteSource &source, std::uint32_t offset, std::uint32_t length, Value &value)
{
    const std::uint8_t *bytes = length >= word ? read(source, offset, word) : nullptr;
    if (!bytes)
        return Found::damaged;
    const std::uint32_t header = load_word(bytes);
    const std::uint32_t kind = header & ~count_mask;
    if (kind == object_flag)
        value.kind = Kind::object;
    else if (kind == array_flag)
        value.kind = Kind::array;
    else
        return Found::damaged;
    value.truth = false;
    value.offset = offset;
    value.length = length;
    value.count = header & count_mask;
    Container container;
    return lay_out(value, container) ? Found::yes : Found::damaged;
}

// The child with this entry, whose bytes are [begin, end) of the data.
inline Found make_value(ByteSource &source, const Container &in, std::uint32_t entry, std::uint32_t begin,
                        std::uint32_t end, Value &value)
{
    if (begin > end || end > in.data_size)
        return Found::damaged;
    value.truth = false;
    value.count = 0;
    value.offset = in.data + begin;
    value.length = end - begin;
    switch (entry & entry_type_mask) {
    case entry_string:
        value.kind = Kind::string;
        return Found::yes;
    case entry_null:
        value.kind = Kind::null;
        return Found::yes;
    case entry_true:
        value.truth = true;
        [[fallthrough]];
    case entry_false:
        value.kind = Kind::boolean;
        return Found::yes;
    case entry_number:
    case entry_container:
        break;
    default:
        return Found::damaged;
    }
    const std::uint32_t aligned = align_word(begin);
    if (aligned > end)
        return Found::damaged;
    if ((entry & entry_type_mask) == entry_container)
        return read_container(source, in.data + aligned, end - aligned, value);
    value.kind = Kind::number;
    value.offset = in.data + aligned;
    value.length = end - aligned;
    return Found::yes;
}

// The child of that index; words up to it must be readable.
Found child_at(ByteSource &source, const Container &in, std::uint32_t index, Value &value)
{
    const std::uint8_t *entries = read(source, in.entries, (index + 1) * word);
    std::uint32_t begin;
    if (!entries || !begin_of(entries, index, in.data_size, begin))
        return Found::damaged;
    const std::uint32_t entry = entry_at(entries, index);
    return make_value(source, in, entry, begin, end_after(begin, entry), value);
}

// --- keys -----------------------------------------------------------------------------------------
// Keys are sorted by length, then by bytes. So the words alone tell which of them have the right length, and
// only those are read.

// Keys of one length: [first, last) of an object's, the first one at an offset in its data.
struct Candidates {
    std::uint32_t first, last, offset;
};

// Few keys: one pass up to the first that is too long.
bool scan_lengths(const std::uint8_t *entries, std::uint32_t count, std::uint32_t length, Candidates &out)
{
    std::uint32_t index = 0, offset = 0;
    bool sound = true;
    auto length_here = [&] {
        const std::uint32_t end = end_after(offset, entry_at(entries, index));
        sound &= end >= offset;
        return end - offset;
    };
    while (index < count && length_here() < length)
        offset = end_after(offset, entry_at(entries, index++));
    out.first = index;
    out.offset = offset;
    while (index < count && length_here() == length)
        offset = end_after(offset, entry_at(entries, index++));
    out.last = index;
    return sound;
}

// The first key that is at least so long.
bool lower_bound(const std::uint8_t *entries, std::uint32_t count, std::uint32_t data_size,
                 std::uint32_t length, std::uint32_t &first)
{
    std::uint32_t low = 0, high = count;
    while (low < high) {
        const std::uint32_t middle = low + (high - low) / 2;
        std::uint32_t here;
        if (!length_of(entries, middle, data_size, here))
            return false;
        if (here < length)
            low = middle + 1;
        else
            high = middle;
    }
    first = low;
    return true;
}

// Many keys: by halves.
bool search_lengths(const std::uint8_t *entries, std::uint32_t count, std::uint32_t data_size,
                    std::uint32_t length, Candidates &out)
{
    return lower_bound(entries, count, data_size, length, out.first) &&
           lower_bound(entries, count, data_size, length + 1, out.last) &&
           begin_of(entries, out.first, data_size, out.offset);
}

// Which of the candidates is the key? `index` is set where one is.
Found choose(ByteSource &source, const Container &in, const Candidates &among, const char *key,
             std::uint32_t length, std::uint32_t &index)
{
    std::uint32_t low = among.first, high = among.last;
    while (low < high) {
        const std::uint32_t middle = low + (high - low) / 2;
        const std::uint64_t offset = among.offset + std::uint64_t{middle - among.first} * length;
        if (offset + length > in.data_size)
            return Found::damaged;
        const std::uint8_t *bytes = read(source, in.data + static_cast<std::uint32_t>(offset), length);
        if (!bytes)
            return Found::damaged;
        const int order = std::memcmp(bytes, key, length);
        if (order == 0) {
            index = middle;
            return Found::yes;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return Found::no;
}

// --- the memo -------------------------------------------------------------------------------------

constexpr std::int32_t misses_before_rest = 4;
constexpr std::int32_t calls_of_rest = 64;

bool remembered(KeyMemo &memo, const Value &object, const std::uint8_t *entries, Candidates &out)
{
    if (memo.misses < 0) {
        ++memo.misses;
        return false;
    }
    if (memo.count != object.count || !same_words(entries, memo.entries, memo.count))
        return false;
    memo.misses = 0;
    out = {memo.first, memo.last, memo.offset};
    return true;
}

void remember(KeyMemo &memo, const Value &object, const std::uint8_t *entries, const Candidates &found)
{
    if (memo.misses < 0)
        return;
    if (++memo.misses > misses_before_rest) {
        memo.misses = -calls_of_rest;
        memo.count = 0;
        return;
    }
    std::uint32_t keys_length = 0;
    for (std::uint32_t i = 0; i < object.count; ++i) {
        const std::uint32_t end = end_after(keys_length, entry_at(entries, i));
        if (end < keys_length) {
            memo.count = 0; // damaged: the short way trusts that all keys end within keys_length
            return;
        }
        keys_length = end;
    }
    memo.count = object.count;
    memo.first = memo.index = found.first;
    memo.last = found.last;
    memo.offset = found.offset;
    memo.keys_length = keys_length;
    std::memcpy(memo.entries, entries, std::size_t{memo.count} * word);
}

// The keys that are as long as this one.
bool find_candidates(const Value &object, const Container &in, const std::uint8_t *entries,
                     std::uint32_t length, KeyMemo *memo, Candidates &out)
{
    if (object.count > KeyMemo::most_keys)
        return search_lengths(entries, object.count, in.data_size, length, out);
    if (memo && remembered(*memo, object, entries, out))
        return true;
    if (!scan_lengths(entries, object.count, length, out))
        return false;
    if (memo)
        remember(*memo, object, entries, out);
    return true;
}

} // namespace

Found read_root(ByteSource &source, Value &root)
{
    const std::uint8_t *bytes = read(source, 0, word);
    if (!bytes)
        return Found::damaged;
    const std::uint32_t header = load_word(bytes);
    if (!(header & scalar_flag))
        return read_container(source, 0, source.size, root);
    const Value array{Kind::array, false, 0, source.size, 1};
    Container container;
    if (header != (array_flag | scalar_flag | 1) || !lay_out(array, container))
        return Found::damaged;
    const Found found = child_at(source, container, 0, root);
    return found == Found::yes && root.kind >= Kind::array ? Found::damaged : found;
}

Found find_key(ByteSource &source, const Value &object, const char *key, std::uint32_t length, KeyMemo *memo,
               Value &value)
{
    Container in;
    if (!lay_out(object, in))
        return Found::damaged;
    if (object.count == 0 || length > entry_size_mask)
        return Found::no;
    const std::uint8_t *entries = read(source, in.entries, object.count * word);
    Candidates candidates;
    if (!entries || !find_candidates(object, in, entries, length, memo, candidates))
        return Found::damaged;
    std::uint32_t index;
    const Found found = choose(source, in, candidates, key, length, index);
    if (found != Found::yes)
        return found;
    if (memo && memo->count == object.count)
        memo->index = index;
    return child_at(source, in, object.count + index, value);
}

Found find_element(ByteSource &source, const Value &array, std::uint32_t index, Value &value)
{
    Container in;
    if (!lay_out(array, in))
        return Found::damaged;
    return index < array.count ? child_at(source, in, index, value) : Found::no;
}

Found take_step(ByteSource &source, const Value &from, const Step &step, KeyMemo *memo, Value &value)
{
    if (from.kind == Kind::object)
        return find_key(source, from, step.key, step.length, memo, value);
    if (from.kind != Kind::array || !step.is_index)
        return Found::no;
    const std::int64_t index = step.index < 0 ? std::int64_t{from.count} + step.index : step.index;
    return index < 0 ? Found::no : find_element(source, from, static_cast<std::uint32_t>(index), value);
}

Found Children::open(ByteSource &source, const Value &container)
{
    Container in;
    if (!lay_out(container, in))
        return Found::damaged;
    is_object_ = container.kind == Kind::object;
    entries_ = in.entries;
    data_ = in.data;
    data_size_ = in.data_size;
    count_ = container.count;
    position_ = key_begin_ = value_begin_ = 0;
    const std::uint32_t words = is_object_ ? 2 * count_ : count_;
    const std::uint8_t *entries = read(source, entries_, words * word);
    if (!entries)
        return Found::damaged;
    return !is_object_ || begin_of(entries, count_, data_size_, value_begin_) ? Found::yes : Found::damaged;
}

Found Children::child(ByteSource &source, std::uint32_t index, std::uint32_t &begin, Value &value) const
{
    const std::uint8_t *bytes = read(source, entries_ + index * word, word);
    if (!bytes)
        return Found::damaged;
    const std::uint32_t entry = load_word(bytes);
    const std::uint32_t from = begin;
    begin = end_after(from, entry);
    return make_value(source, {entries_, data_, data_size_}, entry, from, begin, value);
}

Found Children::next(ByteSource &source, Value &key, Value &value)
{
    if (position_ == count_)
        return Found::no;
    const std::uint32_t index = position_++;
    if (!is_object_)
        return child(source, index, value_begin_, value);
    const Found found = child(source, index, key_begin_, key);
    if (found != Found::yes || key.kind != Kind::string)
        return Found::damaged;
    return child(source, count_ + index, value_begin_, value);
}

} // namespace privacy_scan::json
