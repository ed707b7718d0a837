// See retention_run.hpp.
#include "pg/postgres.hpp"

#include "retention/retention_run.hpp"

extern "C" {
#include <utils/timestamp.h>
}

namespace privacy_scan::retention
{

// A clock that runs ahead must not empty the store.
void refuse_future(std::int64_t at)
{
    if (at > GetCurrentTimestamp())
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "argument \"at\" lies in the future",
                 "Rows would go that have not expired yet.",
                 "plan_retention() shows what will expire by then.");
}

Policy policy_of_caller(pg::Spi &spi, Oid root)
{
    pg::require_owner(root);
    return require_policy(spi, root);
}

RootRun::RootRun(pg::Spi &spi, Oid root, std::int64_t at, std::int64_t max_rows)
    : work_(spi, policy_of_caller(spi, root), at), summary_(work_), max_rows_(max_rows)
{
    batch_.last = false;
}

void RootRun::step(pg::Spi &spi)
{
    batch_ = move_batch(spi, work_, max_rows_, false);
    summary_.add(batch_);
    rows_ += batch_.rows;
}

void RootRun::analyze(pg::Spi &spi) const
{
    if (summary_.roots() > 0)
        retention::analyze(spi, work_, summary_);
}

} // namespace privacy_scan::retention
