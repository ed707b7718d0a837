// The decoders: in pieces as at once, and streams that no compressor wrote.
#include "json/copy.hpp"
#include "json/decoder.hpp"

#include <gtest/gtest.h>
#include <lz4.h>

#include <map>
#include <memory>
#include <string>

namespace privacy_scan::json
{
namespace
{

using Bytes = std::vector<std::uint8_t>;
using Decode = Decoded (*)(Decoding &, std::uint32_t);

// A plain encoder of pglz: the longest match among those that begin with the same three bytes.
Bytes encode_pglz(const Bytes &input)
{
    Bytes out;
    std::map<std::uint32_t, std::size_t> last;
    std::size_t at = 0;
    while (at < input.size()) {
        const std::size_t control = out.size();
        out.push_back(0);
        for (int item = 0; item < 8 && at < input.size(); ++item) {
            std::size_t length = 0, distance = 0;
            if (at + 3 <= input.size()) {
                const std::uint32_t head = input[at] | input[at + 1] << 8 | input[at + 2] << 16;
                const auto found = last.find(head);
                if (found != last.end() && at - found->second <= 4095) {
                    distance = at - found->second;
                    while (length < 273 && at + length < input.size() &&
                           input[at + length] == input[at + length - distance])
                        ++length;
                }
                last[head] = at;
            }
            if (length < 3) {
                out.push_back(input[at++]);
                continue;
            }
            out[control] = static_cast<std::uint8_t>(out[control] | 1 << item);
            const std::size_t code = length >= 18 ? 15 : length - 3;
            out.push_back(static_cast<std::uint8_t>((distance >> 4 & 0xf0) | code));
            out.push_back(static_cast<std::uint8_t>(distance & 255));
            if (code == 15)
                out.push_back(static_cast<std::uint8_t>(length - 18));
            at += length;
        }
    }
    return out;
}

Bytes encode_lz4(const Bytes &input)
{
    Bytes out(static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(input.size()))));
    const int size = LZ4_compress_default(reinterpret_cast<const char *>(input.data()),
                                          reinterpret_cast<char *>(out.data()),
                                          static_cast<int>(input.size()), static_cast<int>(out.size()));
    out.resize(static_cast<std::size_t>(size));
    return out;
}

// Some that compress well, some badly; short and long matches at all distances; runs of one byte.
std::vector<Bytes> samples()
{
    std::vector<Bytes> out;
    unsigned random = 7;
    auto next = [&] { return (random = random * 1664525 + 1013904223) >> 16; };
    for (const std::size_t size : {1, 2, 3, 17, 64, 500, 2000, 2001, 5000, 70000}) {
        for (const unsigned alphabet : {1u, 2u, 7u, 60u, 256u}) {
            Bytes bytes;
            while (bytes.size() < size) {
                if (bytes.size() > 20 && next() % 4 == 0) {
                    const std::size_t distance =
                        1 + next() % std::min<std::size_t>(bytes.size(), next() % 2 ? 20 : 60000);
                    for (unsigned i = next() % (next() % 8 ? 30 : 400); i > 0 && bytes.size() < size; --i)
                        bytes.push_back(bytes[bytes.size() - distance]);
                } else {
                    bytes.push_back(static_cast<std::uint8_t>(next() % alphabet));
                }
            }
            out.push_back(bytes);
        }
    }
    return out;
}

// The source and the output on the heap to the byte; the output with its slack.
struct Work {
    Work(const Bytes &encoded, std::size_t size)
        : source(new std::uint8_t[encoded.size()]), output(new std::uint8_t[size + decoder_slack])
    {
        std::copy(encoded.begin(), encoded.end(), source.get());
        state.source = source.get();
        state.source_size = static_cast<std::uint32_t>(encoded.size());
        state.output = output.get();
        state.output_size = static_cast<std::uint32_t>(size);
    }
    std::unique_ptr<std::uint8_t[]> source, output;
    Decoding state{};
};

void expect_equal(const Work &work, const Bytes &expected, std::uint32_t until)
{
    ASSERT_LE(until, work.state.output_done);
    ASSERT_LE(work.state.output_done, work.state.output_size);
    ASSERT_TRUE(std::equal(expected.begin(), expected.begin() + work.state.output_done, work.output.get()));
}

// The source grows by `piece` bytes whenever the decoder asks for more, the output is wanted by `step` bytes.
void decode_in_pieces(Decode decode, const Bytes &encoded, const Bytes &expected, std::uint32_t piece,
                      std::uint32_t step)
{
    Work work(encoded, expected.size());
    std::uint32_t wanted = 0;
    while (wanted < work.state.output_size) {
        wanted = std::min(work.state.output_size, wanted + step);
        Decoded decoded;
        while ((decoded = decode(work.state, wanted)) == Decoded::needs_more) {
            ASSERT_LT(work.state.source_ready, work.state.source_size);
            work.state.source_ready = std::min(work.state.source_size, work.state.source_ready + piece);
        }
        ASSERT_EQ(decoded, Decoded::enough);
        expect_equal(work, expected, wanted);
    }
}

void decode_every_way(Decode decode, Bytes (*encode)(const Bytes &))
{
    for (const Bytes &sample : samples()) {
        const Bytes encoded = encode(sample);
        const auto size = static_cast<std::uint32_t>(encoded.size());
        for (const std::uint32_t piece : {1u, 2u, 3u, 7u, 24u, 25u, 26u, 1996u, size}) {
            for (const std::uint32_t step : {1u, 19u, 1000u, UINT32_MAX / 2}) {
                if (sample.size() > 2001 && (piece <= 20 || step <= 500))
                    continue;
                ASSERT_NO_FATAL_FAILURE(decode_in_pieces(decode, encoded, sample, piece, step))
                    << sample.size() << " bytes, pieces of " << piece << ", steps of " << step;
            }
        }
    }
}

TEST(PglzDecoder, DecodesInPiecesAsAtOnce)
{
    decode_every_way(decode_pglz, encode_pglz);
}
TEST(Lz4Decoder, DecodesInPiecesAsAtOnce)
{
    decode_every_way(decode_lz4, encode_lz4);
}

TEST(PglzDecoder, TakesNoMoreOfTheSourceThanItNeeds)
{
    const Bytes sample = samples().back();
    Work work(encode_pglz(sample), sample.size());
    work.state.source_ready = 100;
    ASSERT_EQ(decode_pglz(work.state, 50), Decoded::enough);
}

void expect_damage_is_seen(Decode decode, const Bytes &encoded, std::size_t size)
{
    Work work(encoded, size);
    work.state.source_ready = work.state.source_size;
    EXPECT_EQ(decode(work.state, work.state.output_size), Decoded::damaged);
    EXPECT_LE(work.state.output_done, work.state.output_size);
}

TEST(PglzDecoder, SeesWhatNoCompressorWrote)
{
    expect_damage_is_seen(decode_pglz, {}, 5);                                   // nothing at all
    expect_damage_is_seen(decode_pglz, {0x00, 'a', 'b'}, 5);                     // too little
    expect_damage_is_seen(decode_pglz, {0x00, 'a', 'b', 'c', 'd', 'e', 'f'}, 5); // too much
    expect_damage_is_seen(decode_pglz, {0x02, 'a', 0x00, 0x00, 'b'}, 5);         // distance 0
    expect_damage_is_seen(decode_pglz, {0x02, 'a', 0x00, 0x02, 'b'}, 5);         // before the beginning
    expect_damage_is_seen(decode_pglz, {0x02, 'a', 0x00}, 5);                    // half a tag
    expect_damage_is_seen(decode_pglz, {0x02, 'a', 0x0f, 0x01}, 50);             // two thirds of one
}

TEST(Lz4Decoder, SeesWhatNoCompressorWrote)
{
    expect_damage_is_seen(decode_lz4, {}, 5);
    expect_damage_is_seen(decode_lz4, {0x50, 'a', 'b'}, 5);                     // too few literals
    expect_damage_is_seen(decode_lz4, {0x60, 'a', 'b', 'c', 'd', 'e', 'f'}, 5); // too many
    expect_damage_is_seen(decode_lz4, {0x10, 'a', 0x00, 0x00, 'b'}, 50);        // distance 0
    expect_damage_is_seen(decode_lz4, {0x10, 'a', 0x02, 0x00, 'b'}, 50);        // before the beginning
    expect_damage_is_seen(decode_lz4, {0x10, 'a', 0x01}, 50);                   // half a distance
    expect_damage_is_seen(decode_lz4, {0xf0, 255, 255, 255}, 50);               // a length without end
}

// Every byte of an encoded sample changed: something is decoded, or damage is seen, and nothing is touched
// that isn't ours (the sanitizers watch).
void damage_every_byte(Decode decode, Bytes (*encode)(const Bytes &))
{
    for (const Bytes &sample : samples()) {
        if (sample.size() > 600)
            continue;
        const Bytes sound = encode(sample);
        for (std::size_t at = 0; at < sound.size(); ++at) {
            for (const int change : {1, 0x0f, 0x80, 0xff}) {
                Bytes damaged = sound;
                damaged[at] = static_cast<std::uint8_t>(damaged[at] ^ change);
                Work work(damaged, sample.size());
                work.state.source_ready = work.state.source_size;
                (void)decode(work.state, work.state.output_size / 2);
                (void)decode(work.state, work.state.output_size);
                ASSERT_LE(work.state.output_done, work.state.output_size);
            }
        }
    }
}

TEST(PglzDecoder, StaysWithinItsBytesWhateverTheyAre)
{
    damage_every_byte(decode_pglz, encode_pglz);
}
TEST(Lz4Decoder, StaysWithinItsBytesWhateverTheyAre)
{
    damage_every_byte(decode_lz4, encode_lz4);
}

TEST(Copies, RepeatAtEveryDistance)
{
    for (std::size_t distance = 1; distance <= 40; ++distance) {
        for (std::size_t length = 1; length <= 300; ++length) {
            Bytes buffer(distance + length + match_overrun, 0);
            for (std::size_t i = 0; i < distance; ++i)
                buffer[i] = static_cast<std::uint8_t>(i * 7 + 1);
            copy_match(buffer.data() + distance, distance, length);
            for (std::size_t i = distance; i < distance + length; ++i)
                ASSERT_EQ(buffer[i], buffer[i - distance]) << distance << ", " << length;
        }
    }
}

TEST(Copies, TakeExactlyWhatTheyAreGiven)
{
    for (std::size_t length = 0; length <= 80; ++length) {
        const std::unique_ptr<std::uint8_t[]> from(new std::uint8_t[length]), to(new std::uint8_t[length]);
        for (std::size_t i = 0; i < length; ++i)
            from[i] = static_cast<std::uint8_t>(i + 1);
        copy_short(to.get(), from.get(), length);
        ASSERT_TRUE(std::equal(from.get(), from.get() + length, to.get())) << length;
    }
}

} // namespace
} // namespace privacy_scan::json
