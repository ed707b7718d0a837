// Values of a document as PostgreSQL writes them. Red.
#pragma once

#include "json/call_site.hpp"
#include "json/decimal.hpp"
#include "json/copy.hpp"

namespace privacy_scan::json
{

inline text *text_of(const void *bytes, std::size_t length)
{
    auto *result = static_cast<text *>(palloc(length + VARHDRSZ));
    SET_VARSIZE(result, length + VARHDRSZ);
    copy_short(reinterpret_cast<std::uint8_t *>(VARDATA(result)), static_cast<const std::uint8_t *>(bytes),
               length);
    return result;
}

inline text *text_of_string(ByteSource &source, const Value &string)
{
    return text_of(read_sound(source, string.offset, string.length), string.length);
}

// The text of a value that isn't null: a string without its quotes, anything else as jsonb's output has it.
// Error: XX001 where the document is damaged.
text *make_text(ByteSource &source, const Value &value);

// Any value as json's or jsonb's output has it: a string with its quotes.
text *make_json(ByteSource &source, const Value &value);

// Any value as a document of its own. Error: XX001, also where the damage is deep inside.
Datum make_jsonb(ByteSource &source, const Value &value);

// A number as a small decimal; otherwise `large` is set, to an aligned copy. Error: XX001.
bool read_number(ByteSource &source, const Value &number, Decimal &small, struct varlena *&large);

// "object", "array", "string", "number", "boolean" or "null".
const char *kind_name(Kind kind);

} // namespace privacy_scan::json
