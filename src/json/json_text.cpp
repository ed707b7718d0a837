// See json_text.hpp. Containers are written here rather than by PostgreSQL's own function, which takes every
// offset in a document for right and cannot be interrupted.
#include "json/json_text.hpp"

#include "json/call_site.hpp"

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

// A container that is being written.
struct Level {
    Children children;
    bool is_object;
    bool has_written;
};

class Writer
{
  public:
    Writer(ByteSource &source, StringInfo out) : source_(source), out_(out)
    {
        levels_ = static_cast<Level *>(palloc(sizeof(Level) * capacity_));
    }

    // Any value, a string with its quotes.
    void write(const Value &root)
    {
        write_value(root);
        while (depth_ > 0) {
            CHECK_FOR_INTERRUPTS();
            Value key, value;
            Level &level = levels_[depth_ - 1];
            if (!is_found(level.children.next(source_, key, value))) {
                appendStringInfoChar(out_, level.is_object ? '}' : ']');
                --depth_;
                continue;
            }
            if (level.has_written)
                appendBinaryStringInfo(out_, ", ", 2);
            level.has_written = true;
            if (level.is_object) {
                write_string(key);
                appendBinaryStringInfo(out_, ": ", 2);
            }
            write_value(value);
        }
        pfree(levels_);
    }

  private:
    void open(const Value &container)
    {
        if (depth_ == capacity_) {
            capacity_ *= 2;
            levels_ = static_cast<Level *>(repalloc(levels_, sizeof(Level) * capacity_));
        }
        Level &level = levels_[depth_++];
        level.is_object = container.kind == Kind::object;
        level.has_written = false;
        if (level.children.open(source_, container) != Found::yes)
            report_damage();
        appendStringInfoChar(out_, level.is_object ? '{' : '[');
    }

    void write_value(const Value &value)
    {
        switch (value.kind) {
        case Kind::null:
            appendBinaryStringInfo(out_, "null", 4);
            break;
        case Kind::boolean:
            appendStringInfoString(out_, value.truth ? "true" : "false");
            break;
        case Kind::string:
            write_string(value);
            break;
        case Kind::number:
            write_number(value);
            break;
        case Kind::array:
        case Kind::object:
            open(value);
        }
    }

    void write_number(const Value &number)
    {
        Decimal small;
        struct varlena *large;
        char digits[48];
        if (read_number(source_, number, small, large)) {
            appendBinaryStringInfo(out_, digits, static_cast<int>(write_decimal(small, digits)));
            return;
        }
        char *written = DatumGetCString(DirectFunctionCall1(numeric_out, PointerGetDatum(large)));
        appendStringInfoString(out_, written);
        pfree(written);
        pfree(large);
    }

    // As escape_json() of PostgreSQL does it.
    void write_string(const Value &string)
    {
        const auto *bytes = reinterpret_cast<const char *>(read_sound(source_, string.offset, string.length));
        const char *const end = bytes + string.length;
        enlargeStringInfo(out_, static_cast<int>(string.length) + 2);
        appendStringInfoCharMacro(out_, '"');
        while (bytes < end) {
            const char *plain = bytes;
            while (bytes < end && static_cast<unsigned char>(*bytes) >= ' ' && *bytes != '"' &&
                   *bytes != '\\')
                ++bytes;
            appendBinaryStringInfo(out_, plain, static_cast<int>(bytes - plain));
            if (bytes < end)
                write_escaped(*bytes++);
        }
        appendStringInfoCharMacro(out_, '"');
    }

    // No document can hold U+0000: where it stands, bytes are damaged, and nobody could read it as JSON again.
    void write_escaped(char character)
    {
        if (character == '\0')
            report_damage();
        static const char short_forms[] = "\"\"\\\\\bb\ff\nn\rr\tt";
        for (const char *form = short_forms; *form; form += 2) {
            if (*form == character) {
                appendStringInfoChar(out_, '\\');
                appendStringInfoChar(out_, form[1]);
                return;
            }
        }
        appendStringInfo(out_, "\\u%04x", static_cast<unsigned>(character));
    }

    ByteSource &source_;
    StringInfo out_;
    Level *levels_;
    std::size_t depth_ = 0, capacity_ = 16;
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
    Writer(source, &out).write(value);
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
