// A string of a document as escape_json() of PostgreSQL writes it, in quotes. Red.
#pragma once

#include "json/byte_search.hpp"
#include "json/document.hpp"

namespace privacy_scan::json
{

// Control characters, quote and backslash.
inline const char *find_escaped(const char *from, const char *end)
{
    return first_special(
        from, end, [](std::uint64_t word) { return has_less(word, ' ') | has_byte(word, '"') | has_byte(word, '\\'); },
        [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '"' || c == '\\'; });
}

// No document can hold U+0000: where it stands, bytes are damaged, and nobody could read it as JSON again.
template <typename Out> void write_escape(Out &out, char character)
{
    if (character == '\0')
        report_damage();
    if (character == '"') {
        out.append("\\", 1);
        out.append_quote();
        return;
    }
    static const char short_forms[] = "\\\\\bb\ff\nn\rr\tt";
    for (const char *form = short_forms; *form; form += 2) {
        if (*form == character) {
            const char pair[2] = {'\\', form[1]};
            out.append(pair, 2);
            return;
        }
    }
    const auto code = static_cast<unsigned char>(character); // below 32
    const char escape[6] = {'\\', 'u', '0', '0', static_cast<char>('0' + code / 16), "0123456789abcdef"[code % 16]};
    out.append(escape, 6);
}

// Out: where the text goes to, trivially destructible. It has append(bytes, size) for text without quotes, and append_quote().
// Error: XX001, where the string is damaged.
template <typename Out> void write_escaped(Out &out, const char *bytes, std::size_t size)
{
    const char *const end = bytes + size;
    out.append_quote();
    for (;;) {
        const char *special = find_escaped(bytes, end);
        out.append(bytes, static_cast<std::size_t>(special - bytes));
        if (special == end)
            break;
        write_escape(out, *special);
        bytes = special + 1;
    }
    out.append_quote();
}

} // namespace privacy_scan::json
