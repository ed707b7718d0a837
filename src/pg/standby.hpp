// On a standby nothing is written, and that is no error for whoever calls by the clock on every server of a
// cluster: a call that returns rows of what it did returns one whose action is standby; a procedure, or a
// function whose result has no room for that, says it in a WARNING, and a function then returns NULL.
#pragma once

#include "pg/guard.hpp"

namespace privacy_scan::pg
{

constexpr const char *standby_action = "standby";
constexpr const char *standby_message = "this server is a standby; call it on the primary";

bool is_standby();

// is_standby(), with the WARNING.
bool warn_on_standby();

// warn_on_standby(), the result of the function being NULL then.
bool null_on_standby(FunctionCallInfo fcinfo);

} // namespace privacy_scan::pg
