// See spi.hpp.
#include "pg/spi.hpp"

#include "pg/clock.hpp"
#include "pg/compat.hpp"
#include "pg/guc.hpp"
#include "pg/kept_plans.hpp"
#include "pg/lock.hpp"

extern "C" {
#include <catalog/pg_type.h>
#include <nodes/parsenodes.h>
#include <utils/array.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::pg
{

Param null_param(Oid type)
{
    return {type, 0, true};
}

Param text_param(std::string_view text)
{
    const char *data = text.data();
    int size = static_cast<int>(text.size());
    return {TEXTOID, guarded([=] { return PointerGetDatum(cstring_to_text_with_len(data, size)); }), false};
}

Param text_or_null(const std::string &text)
{
    return text.empty() ? null_param(TEXTOID) : text_param(text);
}
Param datum_param(Oid type, Datum value)
{
    return {type, value, false};
}
Param int8_param(std::int64_t value)
{
    return {INT8OID, Int64GetDatum(value), false};
}
Param int4_param(std::int32_t value)
{
    return {INT4OID, Int32GetDatum(value), false};
}
Param float8_param(double value)
{
    return {FLOAT8OID, Float8GetDatum(value), false};
}
Param bool_param(bool value)
{
    return {BOOLOID, BoolGetDatum(value), false};
}
Param oid_param(Oid value)
{
    return {OIDOID, ObjectIdGetDatum(value), false};
}
Param oids_param(const std::vector<Oid> &values)
{
    std::vector<Datum> data(values.begin(), values.end());
    Datum *first = data.data();
    const int count = static_cast<int>(data.size());
    return {OIDARRAYOID, guarded([=] {
                return PointerGetDatum(
                    construct_array(first, count, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
            }),
            false};
}
Param regclass_param(Oid value)
{
    return {REGCLASSOID, ObjectIdGetDatum(value), false};
}
Param timestamptz_param(std::int64_t value)
{
    return {TIMESTAMPTZOID, TimestampTzGetDatum(value), false};
}

Rows::~Rows()
{
    if (table_ && std::uncaught_exceptions() == in_flight_)
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
static text *detoasted(Datum value)
{
    return DatumGetTextPP(value);
}

std::string Rows::text(std::size_t row, int column) const
{
    bool is_null = true;
    Datum value = SPI_getbinval(table_->vals[row], table_->tupdesc, column, &is_null);
    if (is_null)
        return {};
    auto *plain = guarded([=] { return detoasted(value); });
    std::string copy(VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
    if (PointerGetDatum(plain) != value)
        pfree(plain);
    return copy;
}

Spi::Spi() : in_flight_(std::uncaught_exceptions())
{
    guarded([] { SPI_connect(); });
}

Spi::Spi(FunctionCallInfo procedure) : in_flight_(std::uncaught_exceptions())
{
    auto *call = reinterpret_cast<CallContext *>(procedure->context);
    if (!call || !IsA(call, CallContext) || call->atomic)
        fail(ERRCODE_INVALID_TRANSACTION_TERMINATION, "cannot commit as part of a larger transaction",
             "The procedure commits on its way, and this call is in a transaction block or a function.",
             "CALL it on its own.");
    extension_ = hold_extension();
    guarded([] { SPI_connect_ext(SPI_OPT_NONATOMIC); });
}

Spi::Spi(Worker) : extension_(hold_extension()), in_flight_(std::uncaught_exceptions())
{
    guarded([] { SPI_connect_ext(SPI_OPT_NONATOMIC); });
}

Spi::~Spi()
{
    if (std::uncaught_exceptions() == in_flight_)
        SPI_finish();
}

namespace
{

// Parameters as SPI takes them: three arrays of the same length.
struct ParamArrays {
    explicit ParamArrays(const std::vector<Param> &params)
    {
        for (const Param &param : params) {
            types.push_back(param.type);
            values.push_back(param.value);
            nulls.push_back(param.is_null ? 'n' : ' ');
        }
    }
    int count() const { return static_cast<int>(types.size()); }

    std::vector<Oid> types;
    std::vector<Datum> values;
    std::vector<char> nulls;
};

void check(int code)
{
    if (code < 0)
        fail(ERRCODE_INTERNAL_ERROR,
             std::string("could not run a statement: ") + SPI_result_code_string(code));
}

SPIPlanPtr prepare(const std::string &sql, ParamArrays &arrays)
{
    const char *text = sql.c_str();
    SPIPlanPtr plan = guarded([&] { return SPI_prepare(text, arrays.count(), arrays.types.data()); });
    if (!plan)
        check(SPI_result);
    return plan;
}

// Red.
ParamListInfo make_list(const ParamArrays &arrays)
{
    ParamListInfo list = makeParamList(arrays.count());
    for (int i = 0; i < arrays.count(); ++i)
        list->params[i] = {arrays.values[i], arrays.nulls[i] == 'n', PARAM_FLAG_CONST, arrays.types[i]};
    return list;
}

// guarded(), for a statement: what it waited in vain counts as such.
template <typename Body> int counting_waits(Body body)
{
    const TimestampTz begun = GetCurrentTimestamp();
    try {
        return guarded(body);
    } catch (const PgError &error) {
        if (error.sqlstate() == ERRCODE_LOCK_NOT_AVAILABLE)
            add_lock_wait(ms_since(begun));
        throw;
    }
}

} // namespace

Rows Spi::run(const std::string &sql, const std::vector<Param> &params)
{
    ParamArrays arrays(params);
    const char *text = sql.c_str();
    SPIPlanPtr plan = kept_plans_ ? kept_plans_->plan_of(sql, arrays.count(), arrays.types.data()) : nullptr;
    check(counting_waits([&] {
        return plan ? SPI_execute_plan(plan, arrays.values.data(), arrays.nulls.data(), false, 0)
                    : SPI_execute_with_args(text, arrays.count(), arrays.types.data(), arrays.values.data(),
                                            arrays.nulls.data(), false, 0);
    }));
    return Rows(SPI_tuptable, SPI_processed);
}

Rows Spi::run_generic(const std::string &sql, const std::vector<Param> &params)
{
    GucScope settings;
    settings.set("plan_cache_mode", "force_generic_plan");
    ParamArrays arrays(params);
    SPIPlanPtr plan = prepare(sql, arrays);
    check(
        guarded([&] { return SPI_execute_plan(plan, arrays.values.data(), arrays.nulls.data(), false, 0); }));
    Rows rows(SPI_tuptable, SPI_processed);
    guarded([=] { SPI_freeplan(plan); });
    return rows;
}

Rows Spi::run_saved_plan(const char *sql, const std::vector<Param> &params)
{
    ParamArrays arrays(params);
    SPIPlanPtr plan = saved_plan(sql, arrays.count(), arrays.types.data());
    check(counting_waits([&] { return SPI_execute_plan(plan, arrays.values.data(), arrays.nulls.data(), false, 0); }));
    return Rows(SPI_tuptable, SPI_processed);
}

std::uint64_t Spi::send_generic(const std::string &sql, const std::vector<Param> &params,
                                DestReceiver *receiver)
{
    GucScope settings;
    settings.set("plan_cache_mode", "force_generic_plan");
    ParamArrays arrays(params);
    SPIPlanPtr plan = prepare(sql, arrays);
    check(guarded([&] { return compat::execute_into(plan, make_list(arrays), receiver); }));
    const std::uint64_t count = SPI_processed;
    guarded([=] { SPI_freeplan(plan); });
    return count;
}

void Spi::commit()
{
    // The transaction's end would forget who is to be restored.
    if (InLocalUserIdChange() || InSecurityRestrictedOperation())
        fail(ERRCODE_INVALID_TRANSACTION_TERMINATION, "cannot commit while another role is assumed");
    guarded([] { compat::commit_and_start(); });
    if (!(hold_extension() == extension_))
        throw ExtensionGone();
}

Cursor::Cursor(Spi &, const std::string &sql, const std::vector<Param> &params)
    : in_flight_(std::uncaught_exceptions())
{
    ParamArrays arrays(params);
    const char *text = sql.c_str();
    portal_ = guarded([&] {
        return SPI_cursor_open_with_args(nullptr, text, arrays.count(), arrays.types.data(),
                                         arrays.values.data(), arrays.nulls.data(), true, 0);
    });
}

Cursor::~Cursor()
{
    if (std::uncaught_exceptions() == in_flight_)
        SPI_cursor_close(portal_);
}

Rows Cursor::fetch(long most)
{
    guarded([=] { SPI_cursor_fetch(portal_, true, most); });
    return Rows(SPI_tuptable, SPI_processed);
}

} // namespace privacy_scan::pg
