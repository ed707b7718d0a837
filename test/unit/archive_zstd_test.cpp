// zstd by the stream: what goes in comes out, and damage never does.
#include "archive_file/zstd_stream.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <random>

#include <gtest/gtest.h>

using namespace privacy_scan::archive_file;

namespace
{

std::string compressed(const std::string &text, int level = 3, std::size_t piece = 1000,
                       Compression compression = Compression::here)
{
    std::string out;
    ZstdWriter writer(
        level, [&](const char *data, std::size_t size) { out.append(data, size); }, compression);
    for (std::size_t at = 0; at < text.size(); at += piece)
        writer.write(text.data() + at, std::min(piece, text.size() - at));
    writer.finish();
    return out;
}

std::string decompressed(const std::string &bytes, std::size_t piece = 1000, std::size_t wanted = 777)
{
    ZstdReader reader([&, at = std::size_t{0}](char *data, std::size_t most) mutable {
        const std::size_t count = std::min({piece, most, bytes.size() - at});
        std::memcpy(data, bytes.data() + at, count);
        at += count;
        return count;
    });
    std::string out, buffer(wanted, '\0');
    while (const std::size_t count = reader.read(buffer.data(), buffer.size()))
        out.append(buffer, 0, count);
    return out;
}

std::string sample(std::size_t lines)
{
    std::mt19937 random(7);
    std::string text;
    for (std::size_t i = 0; i < lines; ++i)
        text += std::to_string(i) + ",tracker.example," + std::to_string(random()) + "\n";
    return text;
}

} // namespace

TEST(ArchiveZstd, GivesBackWhatItWasGiven)
{
    for (const std::string &text : {std::string(), std::string("a"), sample(10), sample(50000)})
        for (const int level : {1, 3, most_zstd_level})
            ASSERT_EQ(decompressed(compressed(text, level)), text) << level;
    const std::string text = sample(3000);
    EXPECT_EQ(decompressed(compressed(text, 3, 1), 1, 1), text);
    EXPECT_EQ(decompressed(compressed(text), 1 << 20, 1 << 20), text);
}

// Several jobs long; given up half way, too.
TEST(ArchiveZstd, IsTheSameFromAThreadOfItsOwn)
{
    for (const std::string &text : {std::string(), sample(10), sample(200000)})
        ASSERT_EQ(decompressed(compressed(text, 3, 65536, Compression::beside), 65536, 65536), text);
    const std::string text = sample(100000);
    ZstdWriter writer(3, [](const char *, std::size_t) {}, Compression::beside);
    writer.write(text.data(), text.size());
}

// No signal is left to that thread, and none stays blocked here.
TEST(ArchiveZstd, LeavesSignalsToTheCaller)
{
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, nullptr, &before);
    EXPECT_FALSE(compressed(sample(1000), 3, 1000, Compression::beside).empty());
    pthread_sigmask(SIG_SETMASK, nullptr, &after);
    EXPECT_EQ(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
    EXPECT_EQ(sigismember(&after, SIGUSR1), 0);
}

TEST(ArchiveZstd, RefusesEveryTruncation)
{
    const std::string bytes = compressed(sample(10));
    for (std::size_t size = 0; size < bytes.size(); ++size)
        ASSERT_THROW(decompressed(bytes.substr(0, size)), ZstdError) << size;
}

TEST(ArchiveZstd, RefusesWhatFollows)
{
    const std::string bytes = compressed(sample(20));
    EXPECT_THROW(decompressed(bytes + "x"), ZstdError);
    EXPECT_THROW(decompressed(bytes + bytes, bytes.size()), ZstdError);
    EXPECT_THROW(decompressed("not zstd"), ZstdError);
}

// The frame's checksum: a flipped bit is refused, or it was in what carries no meaning.
TEST(ArchiveZstd, NeverGivesOutAnotherContent)
{
    const std::string text = sample(5), bytes = compressed(text);
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        std::string damaged = bytes;
        damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
        try {
            ASSERT_EQ(decompressed(damaged), text) << bit;
        } catch (const ZstdError &) {
        }
    }
}
