// See prepared.hpp.
#include "pg/prepared.hpp"

namespace privacy_scan::pg
{

namespace
{

[[noreturn]] void refuse(int code)
{
    fail(ERRCODE_INTERNAL_ERROR, std::string("could not run a statement: ") + SPI_result_code_string(code));
}

} // namespace

Prepared::Prepared(Spi &, const std::string &sql, const std::vector<Oid> &types)
    : in_flight_(std::uncaught_exceptions())
{
    std::vector<Oid> copy = types;
    const char *text = sql.c_str();
    plan_ = guarded([&] { return SPI_prepare(text, static_cast<int>(copy.size()), copy.data()); });
    if (!plan_)
        refuse(SPI_result);
}

Prepared::~Prepared()
{
    if (std::uncaught_exceptions() == in_flight_)
        SPI_freeplan(plan_);
}

Rows Prepared::run(Datum *values, const char *nulls)
{
    const int code = guarded([=] { return SPI_execute_plan(plan_, values, nulls, false, 0); });
    if (code < 0)
        refuse(code);
    return Rows(SPI_tuptable, SPI_processed);
}

} // namespace privacy_scan::pg
