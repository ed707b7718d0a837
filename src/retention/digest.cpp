// See digest.hpp. The hash is compiled in from libxxhash's header; nothing is linked.
#include "retention/digest.hpp"

#include <cstdio>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace privacy_scan::retention
{

namespace
{

XXH3_state_t *as_state(unsigned char *bytes)
{
    return reinterpret_cast<XXH3_state_t *>(bytes);
}

} // namespace

Digest operator+(const Digest &a, const Digest &b)
{
    Digest sum{a.low + b.low, a.high + b.high};
    sum.high += sum.low < a.low;
    return sum;
}

Digest operator-(const Digest &a, const Digest &b)
{
    Digest difference{a.low - b.low, a.high - b.high};
    difference.high -= a.low < b.low;
    return difference;
}

void to_hex(const Digest &digest, char (&text)[33])
{
    std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(digest.high),
                  static_cast<unsigned long long>(digest.low));
}

std::string hex_of(const Digest &digest)
{
    char text[33];
    to_hex(digest, text);
    return text;
}

Digest digest_of(const std::string &hex)
{
    unsigned long long high = 0, low = 0;
    if (hex.size() != 32 || std::sscanf(hex.c_str(), "%16llx%16llx", &high, &low) != 2)
        return {};
    return {low, high};
}

Digest hash_of_bytes(const void *bytes, std::size_t size)
{
    const XXH128_hash_t hash = XXH3_128bits(bytes, size);
    return {hash.low64, hash.high64};
}

std::uint64_t hash_of_name(std::string_view name)
{
    return XXH3_64bits(name.data(), name.size());
}

void RowHash::gather(const void *bytes, std::size_t size)
{
    std::memcpy(gathered_ + gathered_size_, bytes, size);
    gathered_size_ += size;
}

void RowHash::begin_pieces()
{
    static_assert(sizeof(XXH3_state_t) <= state_size && alignof(XXH3_state_t) <= 64);
    XXH3_INITSTATE(as_state(state_));
    XXH3_128bits_reset(as_state(state_));
    XXH3_128bits_update(as_state(state_), gathered_, gathered_size_);
    is_in_pieces_ = true;
}

void RowHash::add(std::uint64_t name_hash, const void *bytes, std::size_t size)
{
    const std::uint64_t head[2] = {name_hash, size};
    bytes_ += size;
    if (!is_in_pieces_ && sizeof head + size <= most_gathered - gathered_size_) {
        gather(head, sizeof head);
        gather(bytes, size);
        return;
    }
    if (!is_in_pieces_)
        begin_pieces();
    XXH3_128bits_update(as_state(state_), head, sizeof head);
    XXH3_128bits_update(as_state(state_), bytes, size);
}

Digest RowHash::finish()
{
    if (!is_in_pieces_)
        return hash_of_bytes(gathered_, gathered_size_);
    const XXH128_hash_t hash = XXH3_128bits_digest(as_state(state_));
    return {hash.low64, hash.high64};
}

} // namespace privacy_scan::retention
