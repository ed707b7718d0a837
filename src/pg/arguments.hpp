// The arguments of an SQL function, by position from 0, with NULL refused where it has no meaning.
#pragma once

#include "pg/guard.hpp"

namespace privacy_scan::pg
{

// Of a text value, detoasted.
std::string text_of_datum(Datum value);

class Arguments
{
  public:
    explicit Arguments(FunctionCallInfo fcinfo) : fcinfo_(fcinfo) {}

    bool is_null(int n) const { return fcinfo_->args[n].isnull; }
    Datum datum(int n) const { return fcinfo_->args[n].value; }
    Datum required(int n, const char *name) const
    {
        if (is_null(n))
            fail(ERRCODE_NULL_VALUE_NOT_ALLOWED, std::string("argument \"") + name + "\" must not be NULL",
                 {}, "Give a value, or leave the argument out where it has a default.");
        return datum(n);
    }
    Oid relation(int n, const char *name = "relation") const { return DatumGetObjectId(required(n, name)); }
    std::string text(int n, const char *name) const { return text_of_datum(required(n, name)); }
    // One that says something. Errors: 22004, 22023 with this hint.
    std::string written_text(int n, const char *name, const char *hint) const
    {
        std::string text = this->text(n, name);
        if (text.find_first_not_of(' ') == std::string::npos)
            fail(ERRCODE_INVALID_PARAMETER_VALUE, std::string("argument \"") + name + "\" is empty", {}, hint);
        return text;
    }
    std::string text_or_empty(int n) const { return is_null(n) ? std::string() : text_of_datum(datum(n)); }

  private:
    FunctionCallInfo fcinfo_;
};

} // namespace privacy_scan::pg
