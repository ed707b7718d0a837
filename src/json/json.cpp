// One value of a document: the SQL functions on (jsonb, key) and (jsonb, path). Per row, so red: no guard, no
// destructor. Each is IMMUTABLE, STRICT and PARALLEL SAFE, and comes twice: on a key of an object, as the
// operator ->> has it, and on a path, as #>> has it. All: error XX001 where the stored bytes are damaged.
#include "pg/postgres.hpp"

#include "json/call_site.hpp"
#include "json/json_text.hpp"
#include "json/jsonb_layout.hpp"
#include "json/number.hpp"
#include "json/rfc3339.hpp"
#include "pg/entry.hpp"

extern "C" {
#include <utils/builtins.h>
#include <utils/timestamp.h>
}

using namespace privacy_scan::json;

namespace
{

using Locate = bool (*)(FunctionCallInfo, Located &);

Datum null_result(FunctionCallInfo fcinfo)
{
    fcinfo->isnull = true;
    return Datum(0);
}

template <Locate locate> inline Datum text_result(FunctionCallInfo fcinfo)
{
    Located located;
    if (!locate(fcinfo, located) || located.value.kind == Kind::null)
        return null_result(fcinfo);
    if (located.value.kind == Kind::string)
        return PointerGetDatum(text_of_string(*located.source, located.value));
    return PointerGetDatum(make_text(*located.source, located.value));
}

template <Locate locate> inline Datum int_result(FunctionCallInfo fcinfo)
{
    Located located;
    std::int64_t result;
    if (!locate(fcinfo, located) || !to_int(*located.source, located.value, result))
        return null_result(fcinfo);
    return Int64GetDatum(result);
}

template <Locate locate> inline Datum numeric_result(FunctionCallInfo fcinfo)
{
    Located located;
    if (!locate(fcinfo, located) || located.value.kind != Kind::number)
        return null_result(fcinfo);
    return make_numeric(*located.source, located.value);
}

template <Locate locate> inline Datum float8_result(FunctionCallInfo fcinfo)
{
    Located located;
    double result;
    if (!locate(fcinfo, located) || !to_float8(*located.source, located.value, result))
        return null_result(fcinfo);
    return Float8GetDatum(result);
}

template <Locate locate> inline Datum bool_result(FunctionCallInfo fcinfo)
{
    Located located;
    if (!locate(fcinfo, located) || located.value.kind != Kind::boolean)
        return null_result(fcinfo);
    return BoolGetDatum(located.value.truth);
}

template <Locate locate> inline Datum timestamptz_result(FunctionCallInfo fcinfo)
{
    Located located;
    std::int64_t result;
    if (!locate(fcinfo, located) || !to_instant(*located.source, located.value, result))
        return null_result(fcinfo);
    return TimestampTzGetDatum(result);
}

template <Locate locate> inline Datum array_length_result(FunctionCallInfo fcinfo)
{
    Located located;
    if (!locate(fcinfo, located) || located.value.kind != Kind::array)
        return null_result(fcinfo);
    return Int32GetDatum(static_cast<std::int32_t>(located.value.count));
}

// The number of elements of a plain document that is an array; -1 where it is anything else. Found without
// the long way, which would cost more than all of the built-in function does.
inline std::int32_t plain_array_length(const struct varlena *datum)
{
    if (VARATT_IS_EXTENDED(datum) || VARSIZE(datum) < VARHDRSZ + 4)
        return -1;
    const std::uint32_t header = load_word(reinterpret_cast<const std::uint8_t *>(VARDATA(datum)));
    const std::uint32_t count = header & count_mask;
    const bool is_array = header == (array_flag | count) && count <= (VARSIZE(datum) - VARHDRSZ) / 4 - 1;
    return is_array ? static_cast<std::int32_t>(count) : -1;
}

template <Locate locate> inline Datum has_result(FunctionCallInfo fcinfo)
{
    Located located;
    return BoolGetDatum(locate(fcinfo, located));
}

template <Locate locate> inline Datum type_result(FunctionCallInfo fcinfo)
{
    Located located;
    if (!locate(fcinfo, located))
        return null_result(fcinfo);
    return CStringGetTextDatum(kind_name(located.value.kind));
}

} // namespace

// json_text(doc, key) returns text: what doc ->> key gives, NULL for JSON null.
PS_RED_FUNCTION(ps_json_text)
{
    return text_result<locate_key>(fcinfo);
}
// json_text(doc, VARIADIC path): what doc #>> path gives. A path with a NULL in it gives NULL.
PS_RED_FUNCTION(ps_json_text_path)
{
    return text_result<locate_path>(fcinfo);
}

// json_int(doc, key | path) returns bigint: a number without a fraction (10.0 has none) that bigint can hold.
PS_RED_FUNCTION(ps_json_int)
{
    return int_result<locate_key>(fcinfo);
}
PS_RED_FUNCTION(ps_json_int_path)
{
    return int_result<locate_path>(fcinfo);
}

// json_numeric(doc, key | path) returns numeric: any number, with the scale it was written with.
PS_RED_FUNCTION(ps_json_numeric)
{
    return numeric_result<locate_key>(fcinfo);
}
PS_RED_FUNCTION(ps_json_numeric_path)
{
    return numeric_result<locate_path>(fcinfo);
}

// json_float8(doc, key | path) returns double precision: the nearest one; NULL where the type would overflow,
// or underflow to zero.
PS_RED_FUNCTION(ps_json_float8)
{
    return float8_result<locate_key>(fcinfo);
}
PS_RED_FUNCTION(ps_json_float8_path)
{
    return float8_result<locate_path>(fcinfo);
}

// json_bool(doc, key | path) returns boolean: JSON's true and false alone.
PS_RED_FUNCTION(ps_json_bool)
{
    return bool_result<locate_key>(fcinfo);
}
PS_RED_FUNCTION(ps_json_bool_path)
{
    return bool_result<locate_path>(fcinfo);
}

// json_timestamptz(doc, key | path) returns timestamptz: a string as RFC 3339 has it (rfc3339.hpp). It
// depends on no setting, unlike timestamptz's own input.
PS_RED_FUNCTION(ps_json_timestamptz)
{
    return timestamptz_result<locate_key>(fcinfo);
}
PS_RED_FUNCTION(ps_json_timestamptz_path)
{
    return timestamptz_result<locate_path>(fcinfo);
}

// json_array_length(doc, key | path) returns integer: from the array's header; its elements aren't read.
PS_RED_FUNCTION(ps_json_array_length)
{
    return array_length_result<locate_key>(fcinfo);
}
PS_RED_FUNCTION(ps_json_array_length_path)
{
    const auto *site = static_cast<const CallSite *>(fcinfo->flinfo->fn_extra);
    if (site && site->is_root) {
        const auto *datum = reinterpret_cast<const struct varlena *>(PG_GETARG_POINTER(0));
        const std::int32_t length = plain_array_length(datum);
        if (length >= 0)
            return Int32GetDatum(length);
    }
    return array_length_result<locate_path>(fcinfo);
}

// json_has(doc, key | path) returns boolean: whether there is a value, JSON null being one.
PS_RED_FUNCTION(ps_json_has)
{
    return has_result<locate_key>(fcinfo);
}
PS_RED_FUNCTION(ps_json_has_path)
{
    return has_result<locate_path>(fcinfo);
}

// json_type(doc, key | path) returns text: as jsonb_typeof names it.
PS_RED_FUNCTION(ps_json_type)
{
    return type_result<locate_key>(fcinfo);
}
PS_RED_FUNCTION(ps_json_type_path)
{
    return type_result<locate_path>(fcinfo);
}
