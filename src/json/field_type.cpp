// See field_type.hpp. The measure is jsonb_populate_record: what it takes is taken, to the same value, but
// for texts that mean different things under different settings; what it refuses is no error here.
#include <cmath>
#include <cstdlib>

#include "json/field_type.hpp"

#include "json/call_site.hpp"
#include "json/field_text.hpp"
#include "json/json_text.hpp"
#include "json/number.hpp"
#include "json/rfc3339.hpp"
#include "pg/compat.hpp"

extern "C" {
#include <access/htup_details.h>
#include <catalog/pg_enum.h>
#include <catalog/pg_type.h>
#include <funcapi.h>
#include <mb/pg_wchar.h>
#include <utils/array.h>
#include <utils/builtins.h>
#include <utils/date.h>
#include <utils/jsonb.h>
#include <utils/lsyscache.h>
#include <utils/numeric.h>
#include <utils/syscache.h>
#include <utils/timestamp.h>
#include <utils/typcache.h>
#include <utils/uuid.h>
}

namespace privacy_scan::json
{

namespace
{

// --- texts ----------------------------------------------------------------------------------------

bool to_text(const FieldType &, ByteSource &source, const Value &value, Datum &out)
{
    out = PointerGetDatum(make_text(source, value));
    return true;
}

// varchar(n), char(n): blanks beyond n go, anything else doesn't fit.
bool to_limited_text(const FieldType &type, ByteSource &source, const Value &value, Datum &out)
{
    text *whole = make_text(source, value);
    const int most = type.typmod - VARHDRSZ;
    const int size = VARSIZE_ANY_EXHDR(whole);
    if (most >= 0) {
        const int kept = pg_mbcharcliplen(VARDATA_ANY(whole), size, most);
        for (int i = kept; i < size; ++i)
            if (VARDATA_ANY(whole)[i] != ' ')
                return false;
    }
    const PGFunction coerce = type.oid == BPCHAROID ? bpchar : varchar;
    out = DirectFunctionCall3(coerce, PointerGetDatum(whole), Int32GetDatum(type.typmod), BoolGetDatum(true));
    return true;
}

// --- numbers --------------------------------------------------------------------------------------

// What integer types read: a number that is written without decimals, or a string of such.
bool to_whole(ByteSource &source, const Value &value, std::int64_t &out)
{
    Decimal small;
    struct varlena *large;
    if (value.kind == Kind::string)
        return read_whole(read_sound(source, value.offset, value.length), value.length, out);
    if (value.kind != Kind::number)
        return false;
    if (!read_number(source, value, small, large))
        return DatumGetInt32(DirectFunctionCall1(numeric_scale, PointerGetDatum(large))) == 0 &&
               to_int(source, value, out);
    out = small.mantissa;
    return small.scale == 0;
}

template <typename Integer>
bool to_integer_type(const FieldType &, ByteSource &source, const Value &value, Datum &out)
{
    std::int64_t whole;
    if (!to_whole(source, value, whole) || whole != static_cast<Integer>(whole))
        return false;
    if constexpr (sizeof(Integer) == 8)
        out = Int64GetDatum(whole);
    else if constexpr (sizeof(Integer) == 4)
        out = Int32GetDatum(static_cast<Integer>(whole));
    else
        out = Int16GetDatum(static_cast<Integer>(whole));
    return true;
}

// A numeric from a number or a string that is one.
bool to_unlimited_numeric(ByteSource &source, const Value &value, Datum &out)
{
    if (value.kind == Kind::number) {
        out = make_numeric(source, value);
        return true;
    }
    if (value.kind != Kind::string)
        return false;
    const std::uint8_t *bytes = read_sound(source, value.offset, value.length);
    const bool is_infinite =
        pg::compat::has_infinite_numeric && read_infinity(bytes, value.length, true) != 0;
    if (!is_decimal_text(bytes, value.length) && !is_infinite)
        return false;
    char *copy = pnstrdup(reinterpret_cast<const char *>(bytes), value.length);
    out = DirectFunctionCall3(numeric_in, CStringGetDatum(copy), ObjectIdGetDatum(InvalidOid),
                              Int32GetDatum(-1));
    return true;
}

// numeric(p, s) takes NaN and refuses what has more than p - s digits before the point once it is rounded.
bool fits_numeric(Datum number, std::int32_t typmod)
{
    if (numeric_is_nan(DatumGetNumeric(number)))
        return true;
    const std::int32_t precision = ((typmod - VARHDRSZ) >> 16) & 0xFFFF;
    const std::int32_t scale = (((typmod - VARHDRSZ) & 0x7FF) ^ 1024) - 1024; // signed from 15 on
    const Datum rounded = DirectFunctionCall2(numeric_round, number, Int32GetDatum(scale));
    const Datum limit = DirectFunctionCall3(numeric_in, CStringGetDatum(psprintf("1e%d", precision - scale)),
                                            ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
    const Datum absolute = DirectFunctionCall1(numeric_abs, rounded);
    return DatumGetBool(DirectFunctionCall2(numeric_lt, absolute, limit));
}

bool to_numeric(const FieldType &type, ByteSource &source, const Value &value, Datum &out)
{
    if (!to_unlimited_numeric(source, value, out))
        return false;
    if (type.typmod < VARHDRSZ)
        return true;
    if (!fits_numeric(out, type.typmod))
        return false;
    out = DirectFunctionCall2(numeric, out, Int32GetDatum(type.typmod));
    return true;
}

bool to_double_type(ByteSource &source, const Value &value, double &out)
{
    if (value.kind != Kind::string)
        return to_float8(source, value, out);
    return read_float(read_sound(source, value.offset, value.length), value.length, out);
}

bool to_float8_type(const FieldType &, ByteSource &source, const Value &value, Datum &out)
{
    double number;
    if (!to_double_type(source, value, number))
        return false;
    out = Float8GetDatum(number);
    return true;
}

// Read once more as a float: rounding twice could go wrong.
bool to_float4_type(const FieldType &, ByteSource &source, const Value &value, Datum &out)
{
    double number;
    if (!to_double_type(source, value, number))
        return false;
    const char *written = text_to_cstring(make_text(source, value));
    const float narrow = std::strtof(written, nullptr);
    if (std::isinf(narrow) != std::isinf(number) || (narrow == 0) != (number == 0))
        return false;
    out = Float4GetDatum(narrow);
    return true;
}

// --- others ---------------------------------------------------------------------------------------

// As boolean's input takes it: also 'yes', 'off', 1 and the like.
bool to_bool(const FieldType &, ByteSource &source, const Value &value, Datum &out)
{
    bool truth = value.truth;
    if (value.kind == Kind::string || value.kind == Kind::number) {
        const text *written = make_text(source, value);
        const Stretch trimmed = trim(VARDATA_ANY(written), VARSIZE_ANY_EXHDR(written));
        if (!parse_bool_with_len(trimmed.begin, trimmed.length, &truth))
            return false;
    } else if (value.kind != Kind::boolean) {
        return false;
    }
    out = BoolGetDatum(truth);
    return true;
}

// A string that is infinity, with a sign or without: 1 or -1; otherwise 0.
int infinity_of(ByteSource &source, const Value &value)
{
    if (value.kind != Kind::string || value.length > 12)
        return 0;
    return read_infinity(read_sound(source, value.offset, value.length), value.length, false);
}

bool to_timestamptz(const FieldType &type, ByteSource &source, const Value &value, Datum &out)
{
    std::int64_t instant;
    if (const int sign = infinity_of(source, value))
        instant = sign < 0 ? DT_NOBEGIN : DT_NOEND;
    else if (!to_instant(source, value, instant))
        return false;
    out = DirectFunctionCall2(timestamptz_scale, TimestampTzGetDatum(instant), Int32GetDatum(type.typmod));
    return true;
}

bool to_local_time(ByteSource &source, const Value &value, std::int64_t &out)
{
    if (value.kind != Kind::string)
        return false;
    const std::uint8_t *bytes = read_sound(source, value.offset, value.length);
    return read_local_time(reinterpret_cast<const char *>(bytes), value.length, out);
}

// A timestamp passes over an offset, as PostgreSQL's own input does.
bool to_timestamp(const FieldType &type, ByteSource &source, const Value &value, Datum &out)
{
    std::int64_t local;
    if (const int sign = infinity_of(source, value))
        local = sign < 0 ? DT_NOBEGIN : DT_NOEND;
    else if (!to_local_time(source, value, local))
        return false;
    out = DirectFunctionCall2(timestamp_scale, TimestampGetDatum(local), Int32GetDatum(type.typmod));
    return true;
}

// And a date over a time, which may be the first moment of the next day: second 60, rounding.
bool to_date(const FieldType &, ByteSource &source, const Value &value, Datum &out)
{
    constexpr std::uint32_t date_length = 10;
    std::int64_t local;
    if (const int sign = infinity_of(source, value)) {
        out = DateADTGetDatum(sign < 0 ? DATEVAL_NOBEGIN : DATEVAL_NOEND);
        return true;
    }
    if (!to_local_time(source, value, local))
        return false;
    Value date = value;
    date.length = date_length;
    (void)to_local_time(source, date, local);
    out = DirectFunctionCall1(timestamp_date, TimestampGetDatum(local));
    return true;
}

bool to_uuid(const FieldType &, ByteSource &source, const Value &value, Datum &out)
{
    if (value.kind != Kind::string)
        return false;
    auto *uuid = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
    out = UUIDPGetDatum(uuid);
    return read_uuid(read_sound(source, value.offset, value.length), value.length, uuid->data);
}

bool to_enum(const FieldType &type, ByteSource &source, const Value &value, Datum &out)
{
    if (value.kind != Kind::string || value.length >= NAMEDATALEN)
        return false;
    const char *label = pnstrdup(
        reinterpret_cast<const char *>(read_sound(source, value.offset, value.length)), value.length);
    HeapTuple tuple = SearchSysCache2(ENUMTYPOIDNAME, ObjectIdGetDatum(type.oid), CStringGetDatum(label));
    if (!HeapTupleIsValid(tuple))
        return false;
    out = ObjectIdGetDatum(reinterpret_cast<Form_pg_enum>(GETSTRUCT(tuple))->oid);
    ReleaseSysCache(tuple);
    return true;
}

bool to_json(const FieldType &type, ByteSource &source, const Value &value, Datum &out)
{
    out = type.oid == JSONBOID ? make_jsonb(source, value) : PointerGetDatum(make_json(source, value));
    return true;
}

// --- what is made of others -----------------------------------------------------------------------

// One dimension. One element that doesn't fit is an array that doesn't.
bool to_array(const FieldType &type, ByteSource &source, const Value &value, Datum &out)
{
    if (value.kind != Kind::array)
        return false;
    auto *elements = static_cast<Datum *>(palloc(sizeof(Datum) * (std::size_t{value.count} + 1)));
    auto *nulls = static_cast<bool *>(palloc(std::size_t{value.count} + 1));
    Children children;
    if (children.open(source, value) != Found::yes)
        report_damage();
    Value key, element;
    int count = 0;
    for (; is_found(children.next(source, key, element)); ++count) {
        CHECK_FOR_INTERRUPTS();
        nulls[count] = element.kind == Kind::null;
        if (!nulls[count] && !type.element->convert(*type.element, source, element, elements[count]))
            return false;
    }
    int lower_bound = 1;
    out = PointerGetDatum(construct_md_array(elements, nulls, count > 0 ? 1 : 0, &count, &lower_bound,
                                             type.element->oid, type.element_size, type.element_by_value,
                                             type.element_align));
    return true;
}

bool to_row(const FieldType &type, ByteSource &source, const Value &value, Datum &out)
{
    if (value.kind != Kind::object)
        return false;
    memset(type.row->nulls, true, static_cast<std::size_t>(type.row->desc->natts));
    fill_row(*type.row, source, value);
    HeapTuple tuple = heap_form_tuple(type.row->desc, type.row->values, type.row->nulls);
    out = HeapTupleGetDatum(tuple);
    return true;
}

// --- looking up -----------------------------------------------------------------------------------

struct Known {
    Oid oid;
    FieldType::Convert convert;
};

constexpr Known known_types[] = {
    {TEXTOID, to_text},
    {VARCHAROID, to_limited_text},
    {BPCHAROID, to_limited_text},
    {INT2OID, to_integer_type<std::int16_t>},
    {INT4OID, to_integer_type<std::int32_t>},
    {INT8OID, to_integer_type<std::int64_t>},
    {NUMERICOID, to_numeric},
    {FLOAT4OID, to_float4_type},
    {FLOAT8OID, to_float8_type},
    {BOOLOID, to_bool},
    {TIMESTAMPTZOID, to_timestamptz},
    {TIMESTAMPOID, to_timestamp},
    {DATEOID, to_date},
    {UUIDOID, to_uuid},
    {JSONOID, to_json},
    {JSONBOID, to_json},
};

FieldType make_field_type(Oid oid, std::int32_t typmod)
{
    FieldType type{};
    type.oid = oid;
    type.typmod = typmod;
    for (const Known &known : known_types)
        if (known.oid == oid)
            type.convert = known.convert;
    if (type.convert)
        return type;
    check_stack_depth();
    const Oid element = get_element_type(oid);
    if (OidIsValid(element)) {
        type.convert = to_array;
        type.element = static_cast<FieldType *>(palloc(sizeof(FieldType)));
        *type.element = make_field_type(element, typmod);
        get_typlenbyvalalign(element, &type.element_size, &type.element_by_value, &type.element_align);
        return type;
    }
    const char kind = get_typtype(oid);
    if (kind == TYPTYPE_ENUM)
        type.convert = to_enum;
    if (kind == TYPTYPE_COMPOSITE) {
        type.convert = to_row;
        type.row = make_row_type(lookup_rowtype_tupdesc_copy(oid, typmod));
    }
    if (!type.convert)
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("cannot fill type %s from a document", format_type_be(oid)),
                 errdetail("Its input may fail, or depend on settings, in ways that are not known here."),
                 errhint("Take the field as text or jsonb, or use jsonb_populate_record().")));
    return type;
}

} // namespace

RowType *make_row_type(TupleDesc desc)
{
    check_stack_depth();
    const auto natts = static_cast<std::size_t>(desc->natts) + 1;
    auto *row = static_cast<RowType *>(palloc0(sizeof(RowType)));
    row->desc = BlessTupleDesc(desc);
    row->fields = static_cast<FieldType *>(palloc0(sizeof(FieldType) * natts));
    row->keys = static_cast<Step *>(palloc0(sizeof(Step) * natts));
    row->memos = static_cast<KeyMemo *>(palloc0(sizeof(KeyMemo) * natts));
    row->values = static_cast<Datum *>(palloc0(sizeof(Datum) * natts));
    row->nulls = static_cast<bool *>(palloc0(natts));
    for (int i = 0; i < desc->natts; ++i) {
        const Form_pg_attribute attribute = TupleDescAttr(desc, i);
        if (attribute->attisdropped)
            continue;
        const char *name = NameStr(attribute->attname);
        row->keys[i] = make_step(name, static_cast<std::uint32_t>(strlen(name)));
        row->fields[i] = make_field_type(attribute->atttypid, attribute->atttypmod);
    }
    return row;
}

void fill_row(RowType &row, ByteSource &source, const Value &object)
{
    for (int i = 0; i < row.desc->natts; ++i) {
        const Step &key = row.keys[i];
        const FieldType &type = row.fields[i];
        Value value;
        if (!type.convert)
            row.nulls[i] = true;
        else if (is_found(find_key(source, object, key.key, key.length, &row.memos[i], value)))
            row.nulls[i] = value.kind == Kind::null || !type.convert(type, source, value, row.values[i]);
    }
}

} // namespace privacy_scan::json
