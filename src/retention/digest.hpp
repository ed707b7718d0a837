// An order-independent 128-bit digest of a set of rows: the sum, modulo 2^128, of a hash per row. Sums of
// parts add up to the sum of the whole, so that the digests of batches can be compared with one of all. Made
// to find loss and damage, not to withstand somebody who forges rows. Pure.
//
// Method: XXH3 (128 bit, Yann Collet), over each column that is not NULL: a hash of its name, its size and
// its bytes, in the order of the names. A column that is NULL throughout leaves the digest as it is, so that
// a column added later changes nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace privacy_scan::retention
{

// Standard layout and trivial, so that it can live in PostgreSQL's memory.
struct Digest {
    std::uint64_t low;
    std::uint64_t high;
};

inline bool operator==(const Digest &a, const Digest &b)
{
    return a.low == b.low && a.high == b.high;
}

// Sum and difference modulo 2^128.
Digest operator+(const Digest &a, const Digest &b);
Digest operator-(const Digest &a, const Digest &b);

// 32 hexadecimal digits, high first.
void to_hex(const Digest &digest, char (&text)[33]);
std::string hex_of(const Digest &digest);

// And back; zero where the text isn't one.
Digest digest_of(const std::string &hex);

// The hash of one value, to tell values apart.
Digest hash_of_bytes(const void *bytes, std::size_t size);

// A name's share in a row's hash.
std::uint64_t hash_of_name(std::string_view name);

// The hash of one row, fed column by column. Holds its state in place: no allocation, no destructor. The bytes of a small row
// are gathered and hashed at once, which costs much less than by the piece.
class RowHash
{
  public:
    RowHash() {}
    void add(std::uint64_t name_hash, const void *bytes, std::size_t size);
    Digest finish();
    std::uint64_t bytes() const { return bytes_; }

  private:
    void gather(const void *bytes, std::size_t size);
    void begin_pieces();

    static constexpr std::size_t state_size = 576; // of XXH3_state_t; checked where it is known
    static constexpr std::size_t most_gathered = 2048;
    alignas(64) unsigned char state_[state_size]; // once there are pieces
    unsigned char gathered_[most_gathered];
    std::size_t gathered_size_ = 0;
    bool is_in_pieces_ = false;
    std::uint64_t bytes_ = 0;
};

} // namespace privacy_scan::retention
