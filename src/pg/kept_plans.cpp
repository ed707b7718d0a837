// See kept_plans.hpp. A plan belongs to the connection: an error within a subtransaction leaves it as it is.
#include "pg/kept_plans.hpp"

namespace privacy_scan::pg
{

KeptPlans::KeptPlans(Spi &spi) : spi_(spi), in_flight_(std::uncaught_exceptions())
{
    settings_.set("plan_cache_mode", "force_generic_plan");
    spi_.kept_plans_ = this;
}

KeptPlans::~KeptPlans()
{
    spi_.kept_plans_ = nullptr;
    if (std::uncaught_exceptions() == in_flight_)
        for (const auto &plan : plans_)
            SPI_freeplan(plan.second);
}

SPIPlanPtr KeptPlans::plan_of(const std::string &sql, int count, Oid *types)
{
    if (sql.compare(0, 7, "SELECT ") != 0 && sql.compare(0, 5, "WITH ") != 0)
        return nullptr;
    SPIPlanPtr &plan = plans_[sql];
    const char *text = sql.c_str();
    if (!plan)
        plan = guarded([=] { return SPI_prepare(text, count, types); });
    return plan;
}

namespace
{

std::map<std::string, SPIPlanPtr> *saved_plans = nullptr;

SPIPlanPtr save_plan(const std::string &sql, int count, Oid *types)
{
    const char *text = sql.c_str();
    SPIPlanPtr plan = guarded([=] {
        SPIPlanPtr made = SPI_prepare_cursor(text, count, types, CURSOR_OPT_GENERIC_PLAN);
        if (made)
            SPI_keepplan(made);
        return made;
    });
    if (!plan)
        fail(ERRCODE_INTERNAL_ERROR, std::string("could not plan a statement: ") + SPI_result_code_string(SPI_result));
    return plan;
}

bool takes(SPIPlanPtr plan, int count, const Oid *types)
{
    bool same = SPI_getargcount(plan) == count;
    for (int i = 0; same && i < count; ++i)
        same = SPI_getargtypeid(plan, i) == types[i];
    return same;
}

} // namespace

SPIPlanPtr saved_plan(const std::string &sql, int count, Oid *types)
{
    if (!saved_plans)
        saved_plans = new std::map<std::string, SPIPlanPtr>;
    SPIPlanPtr &plan = (*saved_plans)[sql];
    if (!plan)
        plan = save_plan(sql, count, types);
    if (!takes(plan, count, types))
        fail(ERRCODE_INTERNAL_ERROR, "a statement is given parameters of other types than before");
    return plan;
}

} // namespace privacy_scan::pg
