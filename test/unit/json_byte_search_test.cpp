// Special bytes are found by the word as they are one by one.
#include "json/byte_search.hpp"

#include <algorithm>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace privacy_scan::json
{
namespace
{

bool is_special(char c)
{
    return static_cast<unsigned char>(c) < ' ' || c == '"' || c == '\\';
}

const char *by_word(const std::string &text)
{
    return first_special(
        text.data(), text.data() + text.size(),
        [](std::uint64_t word) { return has_less(word, ' ') | has_byte(word, '"') | has_byte(word, '\\'); }, is_special);
}

TEST(ByteSearch, FindsEachByteAtEachPlace)
{
    for (int byte = 0; byte < 256; ++byte)
        for (std::size_t size = 1; size < 20; ++size)
            for (std::size_t at = 0; at < size; ++at) {
                std::string text(size, '!'); // one above a special one
                text[at] = static_cast<char>(byte);
                ASSERT_EQ(by_word(text) - text.data(), is_special(text[at]) ? static_cast<long>(at) : static_cast<long>(size))
                    << byte << " at " << at << " of " << size;
            }
}

TEST(ByteSearch, FindsTheFirstOfMany)
{
    std::mt19937 random(3);
    for (int round = 0; round < 20000; ++round) {
        std::string text(random() % 40, ' ');
        for (char &c : text)
            c = static_cast<char>(random() % 8 == 0 ? random() : 0x7f + random() % 3);
        ASSERT_EQ(by_word(text), std::find_if(text.data(), text.data() + text.size(), is_special));
    }
}

} // namespace
} // namespace privacy_scan::json
