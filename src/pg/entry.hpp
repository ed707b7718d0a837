// The outward door: every function that PostgreSQL calls is made by one of these macros. A C++ exception
// that left them would end the whole server.
//
//   PS_FUNCTION(ps_manage_partitions)     -- then the body, with fcinfo, returning Datum; blue code
//   {
//       ...
//   }
#pragma once

#include "pg/guard.hpp"

namespace privacy_scan::pg
{

using FunctionBody = Datum (*)(FunctionCallInfo);

// Runs a blue body; what it throws becomes an ereport after every C++ frame is gone.
Datum enter(FunctionBody body, FunctionCallInfo fcinfo);

} // namespace privacy_scan::pg

#define PS_FUNCTION(name) PS_FUNCTION_BEHIND(name, name##_body)

// The same with something of our own between the door and the body.
#define PS_FUNCTION_BEHIND(name, behind)                                                                     \
    static Datum name##_body(FunctionCallInfo fcinfo);                                                       \
    extern "C" {                                                                                             \
    PGDLLEXPORT Datum name(PG_FUNCTION_ARGS);                                                                \
    PG_FUNCTION_INFO_V1(name);                                                                               \
    Datum name(PG_FUNCTION_ARGS)                                                                             \
    {                                                                                                        \
        return ::privacy_scan::pg::enter(behind, fcinfo);                                                    \
    }                                                                                                        \
    }                                                                                                        \
    static Datum name##_body([[maybe_unused]] FunctionCallInfo fcinfo)

// A function of the hot path: red throughout, so that it needs no door. It throws nothing, calls PostgreSQL
// unguarded and holds trivially destructible locals only.
#define PS_RED_FUNCTION(name)                                                                                \
    extern "C" {                                                                                             \
    PGDLLEXPORT Datum name(PG_FUNCTION_ARGS);                                                                \
    PG_FUNCTION_INFO_V1(name);                                                                               \
    }                                                                                                        \
    Datum name([[maybe_unused]] FunctionCallInfo fcinfo)
