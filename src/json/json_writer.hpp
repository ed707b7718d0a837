// Any value of a document as json's or jsonb's output has it. Containers are written here rather than by PostgreSQL's own
// function, which takes every offset in a document for right and cannot be interrupted. Red.
#pragma once

#include "json/json_escape.hpp"
#include "json/json_text.hpp"

extern "C" {
#include <fmgr.h>
#include <utils/fmgrprotos.h>
}

namespace privacy_scan::json
{

// Out: where the text goes to, as in json_escape.hpp.
template <typename Out> class JsonWriter
{
  public:
    JsonWriter(ByteSource &source, Out &out) : source_(source), out_(out) {}

    // A string with its quotes. Error: XX001, where the document is damaged.
    void write(const Value &root)
    {
        write_value(root);
        while (depth_ > 0) {
            CHECK_FOR_INTERRUPTS();
            Value key, value;
            Level &level = levels_[depth_ - 1];
            if (!is_found(level.children.next(source_, key, value))) {
                out_.append(level.is_object ? "}" : "]", 1);
                --depth_;
                continue;
            }
            if (level.has_written)
                out_.append(", ", 2);
            level.has_written = true;
            if (level.is_object) {
                write_string(key);
                out_.append(": ", 2);
            }
            write_value(value);
        }
        if (levels_ != first_levels_)
            pfree(levels_);
    }

  private:
    // A container that is being written.
    struct Level {
        Children children;
        bool is_object;
        bool has_written;
    };

    void grow()
    {
        auto *more = static_cast<Level *>(palloc(sizeof(Level) * capacity_ * 2));
        memcpy(more, levels_, sizeof(Level) * capacity_);
        if (levels_ != first_levels_)
            pfree(levels_);
        levels_ = more;
        capacity_ *= 2;
    }

    void open(const Value &container)
    {
        if (depth_ == capacity_)
            grow();
        Level &level = levels_[depth_++];
        level.is_object = container.kind == Kind::object;
        level.has_written = false;
        if (level.children.open(source_, container) != Found::yes)
            report_damage();
        out_.append(level.is_object ? "{" : "[", 1);
    }

    void write_value(const Value &value)
    {
        switch (value.kind) {
        case Kind::null:
            out_.append("null", 4);
            break;
        case Kind::boolean:
            value.truth ? out_.append("true", 4) : out_.append("false", 5);
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
            out_.append(digits, write_decimal(small, digits));
            return;
        }
        char *written = DatumGetCString(DirectFunctionCall1(numeric_out, PointerGetDatum(large)));
        out_.append(written, strlen(written));
        pfree(written);
        pfree(large);
    }

    void write_string(const Value &string)
    {
        write_escaped(out_, reinterpret_cast<const char *>(read_sound(source_, string.offset, string.length)), string.length);
    }

    ByteSource &source_;
    Out &out_;
    Level first_levels_[8];
    Level *levels_ = first_levels_;
    std::size_t depth_ = 0, capacity_ = 8;
};

} // namespace privacy_scan::json
