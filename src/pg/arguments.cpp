// See arguments.hpp.
#include "pg/arguments.hpp"

extern "C" {
#include <utils/builtins.h>
}

namespace privacy_scan::pg
{

std::string text_of_datum(Datum value)
{
    return guarded([=] { return static_cast<const char *>(text_to_cstring(DatumGetTextPP(value))); });
}

} // namespace privacy_scan::pg
