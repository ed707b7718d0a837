// Values of a document as PostgreSQL writes them. Red.
#pragma once

#include "json/decimal.hpp"
#include "json/walker.hpp"
#include "pg/postgres.hpp"

namespace privacy_scan::json
{

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
