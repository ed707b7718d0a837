// Blocks of any bytes, decoded in pieces, against liblz4: what that accepts, ours must give, too.
#include "decoders.hpp"

#include <lz4.h>

namespace
{

// A match at distance 0, which the format forbids and liblz4 lets pass. The block is one that liblz4 accepts.
bool has_distance_zero(const fuzz::Bytes &block)
{
    std::size_t at = 0;
    auto length = [&](std::size_t code) {
        for (std::size_t more = 255; code >= 15 && more == 255; code += more)
            more = block[at++];
        return code;
    };
    while (at < block.size()) {
        const int token = block[at++];
        at += length(static_cast<std::size_t>(token >> 4));
        if (at >= block.size())
            return false;
        if (block[at] == 0 && block[at + 1] == 0)
            return true;
        at += 2;
        (void)length(static_cast<std::size_t>(token & 15));
    }
    return false;
}

std::optional<fuzz::Bytes> decode_by_library(const fuzz::Bytes &source, std::uint32_t size)
{
    fuzz::Bytes out(size + 1);
    const int got = LZ4_decompress_safe(reinterpret_cast<const char *>(source.data()),
                                        reinterpret_cast<char *>(out.data()), static_cast<int>(source.size()),
                                        static_cast<int>(size));
    if (got != static_cast<int>(size) || has_distance_zero(source))
        return {};
    out.resize(size);
    return out;
}

// What liblz4 makes of content that the input dictates: literals and repetitions.
fuzz::Bytes encode(fuzz::Input &input, std::uint32_t &size)
{
    fuzz::Bytes content;
    while (input.left() > 0 && content.size() < 100000) {
        if (content.empty() || input.number(2) == 0) {
            const std::string text = input.text(1 + input.number(60));
            content.insert(content.end(), text.begin(), text.end());
        } else {
            const std::size_t distance = 1 + input.large(content.size());
            for (std::size_t n = 1 + input.large(input.number(4) ? 30 : 2000); n > 0; --n)
                content.push_back(content[content.size() - distance]);
        }
    }
    size = static_cast<std::uint32_t>(content.size());
    fuzz::Bytes out(static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(content.size()))));
    out.resize(static_cast<std::size_t>(LZ4_compress_default(
        reinterpret_cast<const char *>(content.data()), reinterpret_cast<char *>(out.data()),
        static_cast<int>(content.size()), static_cast<int>(out.size()))));
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t length)
{
    fuzz::Input input(data, length);
    auto size = static_cast<std::uint32_t>(input.large(20000));
    const int mode = input.number(3);
    fuzz::Input choices = input;
    fuzz::Bytes block = mode == 0 ? input.rest() : encode(input, size);
    if (mode == 2)
        for (int n = choices.number(4); n > 0 && !block.empty(); --n)
            block[choices.large(block.size())] ^= static_cast<std::uint8_t>(1 << choices.number(8));
    fuzz::compare(privacy_scan::json::decode_lz4, decode_by_library, false, block, size, choices);
    return 0;
}
