// Ids that carry the time at which they were made: from an id to its instant, and from an instant to the
// smallest id at it. Pure.
//
// An id is looked at as its image: bytes whose order (memcmp, a prefix first) is the order of the ids. The
// image of a text is the text, in the collation "C"; of a uuid its 16 bytes; of a bigint 8 bytes, the highest
// first, with the sign bit flipped. Nothing here allocates or throws, so that red code may call it row by
// row.
#pragma once

#include "partition/time_grid.hpp"

#include <memory>
#include <string_view>
#include <vector>

namespace privacy_scan::partition
{

// How a column stores ids.
enum class IdStorage { text, uuid, bigint };

// An image of ours, or its text.
struct IdBytes {
    char data[40];
    std::size_t size;
    std::string_view view() const { return {data, size}; }
};

class KeyKind
{
  public:
    virtual ~KeyKind() = default;

    // As it is written in calls and policies: "cuid", "snowflake(1288834974657,22)".
    virtual std::string name() const = 0;
    virtual IdStorage storage() const = 0;

    // When the id was made, to the kind's unit; nothing for what isn't an id of the kind.
    virtual std::optional<Instant> instant_of(std::string_view image) const = 0;

    // Of the instants from earliest() to latest(), each a whole number of units. The smallest image that an
    // id of that instant, or a later one, can have; every id made before is smaller.
    virtual IdBytes smallest_at(Instant instant) const = 0;
    virtual Instant unit() const = 0; // microseconds
    virtual Instant earliest() const = 0;
    virtual Instant latest() const = 0;

    // The characters of an id that tell its order from another's: what a collation has to sort as bytes are.
    // Empty where order is not a matter of collations.
    virtual std::string_view alphabet() const { return {}; }

    // The first instant of the kind that isn't before the given one; the last one where there is none.
    Instant round_up(Instant instant) const;
};

// The kinds by name: uuidv7, ulid, ulid_lower, cuid, ksuid, objectid, and snowflake(epoch,shift) with the
// epoch in milliseconds since 1970 and the number of bits below them. Null for what is none, or isn't stored
// so. The methods and where they are specified: key_kind.cpp.
std::unique_ptr<KeyKind> make_key_kind(std::string_view name, IdStorage storage);

// Those worth trying where nobody has said which it is, for ids stored so.
std::vector<std::unique_ptr<KeyKind>> likely_key_kinds(IdStorage storage);

// The image of a bigint, and back.
IdBytes image_of_bigint(std::int64_t value);
std::int64_t bigint_of_image(std::string_view image);
// The 16 bytes of a uuid in its usual text, and back.
std::optional<IdBytes> image_of_uuid_text(std::string_view text);
IdBytes uuid_text_of_image(std::string_view image);

// The instant of the kind at whose smallest value, or after it, another value sorts, and before that of the
// next: whatever the value is, so that it is routed as PostgreSQL routes it. Nothing where it sorts before
// all. is_above(image): true where the image is greater than the value, in the order of the partition bounds.
template <typename IsAbove> std::optional<Instant> position_of(const KeyKind &kind, IsAbove &&is_above)
{
    std::int64_t low = 0, high = (kind.latest() - kind.earliest()) / kind.unit() + 1;
    while (low < high) { // the number of instants whose smallest value isn't above it
        const std::int64_t middle = low + (high - low) / 2;
        if (is_above(kind.smallest_at(kind.earliest() + middle * kind.unit()).view()))
            high = middle;
        else
            low = middle + 1;
    }
    if (low == 0)
        return std::nullopt;
    return kind.earliest() + (low - 1) * kind.unit();
}

// A grid's cells as far as a kind has instants for both of their ends.
class KindGrid : public Grid
{
  public:
    KindGrid(std::unique_ptr<Grid> grid, const KeyKind &kind) : grid_(std::move(grid)), kind_(kind) {}
    std::optional<Cell> cell_at(std::int64_t value) const override;
    std::string suffix(std::int64_t lower) const override { return grid_->suffix(lower); }

  private:
    std::unique_ptr<Grid> grid_;
    const KeyKind &kind_;
};

} // namespace privacy_scan::partition
