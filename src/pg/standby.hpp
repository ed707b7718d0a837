// On a standby nothing is written, and that is no error for whoever calls by the clock on every server of a
// cluster. A function that returns rows of what it did returns one whose action or state is standby, with the
// reason beside it; where the result has no room for that a WARNING says it, and the result is NULL.
#pragma once

#include "pg/entry.hpp"

namespace privacy_scan::pg
{

// True on a standby: the result of the call says so. Error in a read-only transaction: 25006.
bool declined_on_standby(FunctionCallInfo fcinfo);

template <FunctionBody body> Datum unless_on_standby(FunctionCallInfo fcinfo)
{
    return declined_on_standby(fcinfo) ? Datum(0) : body(fcinfo);
}

} // namespace privacy_scan::pg

// PS_FUNCTION() of what always writes.
#define PS_WRITING_FUNCTION(name)                                                                            \
    PS_FUNCTION_BEHIND(name, ::privacy_scan::pg::unless_on_standby<name##_body>)
