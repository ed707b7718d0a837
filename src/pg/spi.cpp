// See spi.hpp.
#include "pg/spi.hpp"

#include "pg/compat.hpp"

extern "C" {
#include <utils/timestamp.h>
}

namespace privacy_scan::pg
{

Param null_param(Oid type) { return {type, 0, true}; }

Param text_param(std::string_view text)
{
    const char *data = text.data();
    int size = static_cast<int>(text.size());
    return {TEXTOID, guarded([=] { return PointerGetDatum(cstring_to_text_with_len(data, size)); }), false};
}

Param text_or_null(const std::string &text) { return text.empty() ? null_param(TEXTOID) : text_param(text); }
Param datum_param(Oid type, Datum value) { return {type, value, false}; }
Param int8_param(std::int64_t value) { return {INT8OID, Int64GetDatum(value), false}; }
Param int4_param(std::int32_t value) { return {INT4OID, Int32GetDatum(value), false}; }
Param float8_param(double value) { return {FLOAT8OID, Float8GetDatum(value), false}; }
Param bool_param(bool value) { return {BOOLOID, BoolGetDatum(value), false}; }
Param oid_param(Oid value) { return {OIDOID, ObjectIdGetDatum(value), false}; }
Param regclass_param(Oid value) { return {REGCLASSOID, ObjectIdGetDatum(value), false}; }
Param timestamptz_param(std::int64_t value) { return {TIMESTAMPTZOID, TimestampTzGetDatum(value), false}; }

Rows::~Rows()
{
    if (table_ && std::uncaught_exceptions() == 0)
        SPI_freetuptable(table_);
}

bool Rows::is_null(std::size_t row, int column) const
{
    bool is_null = true;
    SPI_getbinval(table_->vals[row], table_->tupdesc, column, &is_null);
    return is_null;
}

Datum Rows::datum(std::size_t row, int column) const
{
    bool is_null = true;
    return SPI_getbinval(table_->vals[row], table_->tupdesc, column, &is_null);
}

// Red, and outside the class: in it, the type name text would mean the member function.
static const char *detoasted(Datum value) { return text_to_cstring(DatumGetTextPP(value)); }

std::string Rows::text(std::size_t row, int column) const
{
    if (is_null(row, column))
        return {};
    Datum value = datum(row, column);
    return guarded([=] { return detoasted(value); });
}

void require_own_transactions(FunctionCallInfo fcinfo, const char *what)
{
    // SPI_commit() doesn't look at it: it would end the caller's transaction.
    const Node *context = fcinfo->context;
    if (!context || !IsA(context, CallContext) || reinterpret_cast<const CallContext *>(context)->atomic)
        fail(ERRCODE_INVALID_TRANSACTION_TERMINATION, std::string(what) + " cannot run inside a transaction block",
             "It commits each of its steps.", "Call it as a statement of its own.");
}

Spi::Spi(Mode mode) : in_flight_(std::uncaught_exceptions())
{
    guarded([=] { SPI_connect_ext(mode == nonatomic ? SPI_OPT_NONATOMIC : 0); });
}

Spi::~Spi()
{
    if (std::uncaught_exceptions() == in_flight_)
        SPI_finish();
}

Rows Spi::run(const std::string &sql, const std::vector<Param> &params)
{
    const std::size_t count = params.size();
    std::vector<Oid> types(count);
    std::vector<Datum> values(count);
    std::vector<char> nulls(count);
    for (std::size_t i = 0; i < count; ++i) {
        types[i] = params[i].type;
        values[i] = params[i].value;
        nulls[i] = params[i].is_null ? 'n' : ' ';
    }
    const char *text = sql.c_str();
    int code = guarded([&] {
        return SPI_execute_with_args(text, static_cast<int>(count), types.data(), values.data(), nulls.data(), false, 0);
    });
    if (code < 0)
        fail(ERRCODE_INTERNAL_ERROR, std::string("could not run a statement: ") + SPI_result_code_string(code));
    return Rows(SPI_tuptable, SPI_processed);
}

void Spi::commit()
{
    guarded([] { compat::commit_and_start(); });
}

} // namespace privacy_scan::pg
