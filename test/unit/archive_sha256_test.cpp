// SHA-256 against the examples of FIPS 180-2, whatever the pieces.
#include "archive_file/sha256.hpp"

#include <gtest/gtest.h>

using privacy_scan::archive_file::Sha256;

namespace
{

std::string sha256(const std::string &text, std::size_t piece)
{
    Sha256 hash;
    for (std::size_t at = 0; at < text.size(); at += piece)
        hash.add(text.data() + at, std::min(piece, text.size() - at));
    return hash.finish();
}

TEST(ArchiveSha256, IsThatOfTheStandard)
{
    EXPECT_EQ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", sha256("", 1));
    for (const std::size_t piece : {1, 2, 64}) {
        EXPECT_EQ("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", sha256("abc", piece));
        EXPECT_EQ("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
                  sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", piece));
    }
    EXPECT_EQ("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
              sha256(std::string(1000000, 'a'), 65536));
}

} // namespace
