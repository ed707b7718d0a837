// Streams of any bytes, decoded in pieces, against a decoder that goes byte by byte through a whole one.
#include "decoders.hpp"

namespace
{

// As PostgreSQL takes a complete stream: a match that is too long ends with the output; both must end
// together.
std::optional<fuzz::Bytes> decode_simply(const fuzz::Bytes &source, std::uint32_t size)
{
    fuzz::Bytes out;
    std::size_t at = 0;
    while (at < source.size() && out.size() < size) {
        int control = source[at++];
        for (int item = 0; item < 8 && at < source.size() && out.size() < size; ++item, control >>= 1) {
            if (!(control & 1)) {
                out.push_back(source[at++]);
                continue;
            }
            if (at + 2 > source.size())
                return {};
            std::size_t length = (source[at] & 15) + 3;
            const std::size_t distance = (source[at] & 0xf0) << 4 | source[at + 1];
            at += 2;
            if (length == 18) {
                if (at == source.size())
                    return {};
                length += source[at++];
            }
            if (distance == 0 || distance > out.size())
                return {};
            for (; length > 0 && out.size() < size; --length)
                out.push_back(out[out.size() - distance]);
        }
    }
    if (at != source.size() || out.size() != size)
        return {};
    return out;
}

// A sound stream that the input dictates.
fuzz::Bytes encode(fuzz::Input &input, std::uint32_t &size)
{
    fuzz::Bytes out;
    size = 0;
    while (input.left() > 0 && out.size() < 5000) {
        const std::size_t control = out.size();
        out.push_back(0);
        for (int item = 0; item < 8 && input.left() > 0; ++item) {
            if (size == 0 || input.number(2) == 0) {
                out.push_back(static_cast<std::uint8_t>(input.number(256)));
                ++size;
                continue;
            }
            const std::size_t distance = 1 + input.large(std::min<std::size_t>(size, 4095));
            const std::size_t length = 3 + input.large(input.number(3) ? 20 : 271);
            out[control] = static_cast<std::uint8_t>(out[control] | 1 << item);
            out.push_back(
                static_cast<std::uint8_t>((distance >> 4 & 0xf0) | std::min<std::size_t>(length - 3, 15)));
            out.push_back(static_cast<std::uint8_t>(distance & 255));
            if (length >= 18)
                out.push_back(static_cast<std::uint8_t>(length - 18));
            size += static_cast<std::uint32_t>(length);
        }
    }
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t length)
{
    fuzz::Input input(data, length);
    auto size = static_cast<std::uint32_t>(input.large(20000));
    const int mode = input.number(3);
    fuzz::Input choices = input;
    fuzz::Bytes stream = mode == 0 ? input.rest() : encode(input, size);
    if (mode == 2)
        for (int n = choices.number(4); n > 0 && !stream.empty(); --n)
            stream[choices.large(stream.size())] ^= static_cast<std::uint8_t>(1 << choices.number(8));
    fuzz::compare(privacy_scan::json::decode_pglz, decode_simply, true, stream, size, choices);
    return 0;
}
