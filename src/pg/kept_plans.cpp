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

} // namespace privacy_scan::pg
