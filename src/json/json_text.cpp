// See json_text.hpp.
#include "json/json_text.hpp"

#include "json/json_writer.hpp"

extern "C" {
#include <lib/stringinfo.h>
#include <utils/builtins.h>
#include <utils/jsonb.h>
#include <utils/numeric.h>
}

namespace privacy_scan::json
{

namespace
{

struct StringOut {
    StringInfo to;

    void append(const char *bytes, std::size_t size) { appendBinaryStringInfo(to, bytes, static_cast<int>(size)); }
    void append_quote() { appendStringInfoChar(to, '"'); }
};

text *text_of_number(ByteSource &source, const Value &number)
{
    Decimal small;
    struct varlena *large;
    char digits[48];
    if (read_number(source, number, small, large))
        return text_of(digits, write_decimal(small, digits));
    return cstring_to_text(DatumGetCString(DirectFunctionCall1(numeric_out, PointerGetDatum(large))));
}

} // namespace

bool read_number(ByteSource &source, const Value &number, Decimal &small, struct varlena *&large)
{
    const std::uint8_t *bytes = read_sound(source, number.offset, number.length);
    const NumericForm form = read_decimal(bytes, number.length, small);
    if (form == NumericForm::small)
        return true;
    if (form == NumericForm::damaged)
        report_damage();
    large = static_cast<struct varlena *>(palloc(number.length));
    memcpy(large, bytes, number.length);
    return false;
}

text *make_json(ByteSource &source, const Value &value)
{
    StringInfoData out;
    initStringInfo(&out);
    read_sound(source, value.offset, value.length);
    StringOut to{&out};
    JsonWriter<StringOut>(source, to).write(value);
    text *result = text_of(out.data, static_cast<std::size_t>(out.len));
    pfree(out.data);
    return result;
}

// A container is written once for nothing but to see that all of it is sound; its bytes stand on their own.
Datum make_jsonb(ByteSource &source, const Value &value)
{
    if (value.kind != Kind::array && value.kind != Kind::object) {
        char *written = text_to_cstring(make_json(source, value));
        return DirectFunctionCall1(jsonb_in, CStringGetDatum(written));
    }
    pfree(make_json(source, value));
    return PointerGetDatum(text_of(read_sound(source, value.offset, value.length), value.length));
}

text *make_text(ByteSource &source, const Value &value)
{
    switch (value.kind) {
    case Kind::string:
        return text_of_string(source, value);
    case Kind::number:
        return text_of_number(source, value);
    case Kind::boolean:
        return value.truth ? text_of("true", 4) : text_of("false", 5);
    case Kind::array:
    case Kind::object:
        return make_json(source, value);
    case Kind::null:
        break;
    }
    return nullptr;
}

const char *kind_name(Kind kind)
{
    static const char *const names[] = {"null", "string", "number", "boolean", "array", "object"};
    return names[static_cast<int>(kind)];
}

} // namespace privacy_scan::json
