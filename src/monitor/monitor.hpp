// Statistics of partitioned parents and samples of what grows: what the job 'statistics' runs, and the SQL
// functions without it. Watched are the relations that were entrusted to the extension: managed partition
// sets, families with a retention policy, and their archives.
#pragma once

#include "pg/lock.hpp"
#include "pg/spi.hpp"

namespace privacy_scan::monitor
{

struct StatisticsRow {
    Oid relid = InvalidOid;
    std::string action; // analyzed, sampled, dropped, failed
    std::optional<std::int64_t> rows, changes;
    std::int64_t bytes = 0;
    double ms = 0;
    pg::LockWait wait;
    pg::ErrorText error;
};

using StatisticsReport = std::vector<StatisticsRow>;

// One run at an instant, for one relation or (InvalidOid) all that the current user owns, and the database.
// A relation that fails is a row, and the others go on. between: called after each relation with its rows,
// outside any subtransaction, and may commit. Errors: for one relation 42501, 42P01, 42809.
StatisticsReport run_statistics(pg::Spi &spi, Oid relation, std::int64_t at,
                                const std::function<void(const StatisticsReport &)> &between);

} // namespace privacy_scan::monitor
