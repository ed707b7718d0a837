// See leaf_proof.hpp.
#include "pg/postgres.hpp"

#include "retention/leaf_proof.hpp"

#include "pg/failpoint.hpp"
#include "pg/lock.hpp"
#include "pg/owner.hpp"
#include "pg/subxact.hpp"

namespace privacy_scan::retention
{

void ProofRun::find(pg::Spi &spi)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run("SELECT target, leaf FROM privacy_scan.archive_ledger WHERE root = $1 AND rows IS NULL"
                            " GROUP BY target, leaf ORDER BY min(id) DESC",
                            {pg::regclass_param(root_)});
    for (std::size_t row = 0; row < rows.size(); ++row)
        entries_.push_back({rows.text(row, 1), rows.text(row, 2)});
}

void ProofRun::keep_failure(const Entry &entry, pg::ErrorText failure)
{
    failure.message = entry.leaf + " could not be counted: " + failure.message;
    failure.error.message = failure.message;
    if (!failure_)
        failure_ = failure;
}

std::optional<ProofRun::Proven> ProofRun::step(pg::Spi &spi, std::vector<std::string> &news)
{
    if (!std::exchange(is_found_, true)) {
        find(spi);
        return std::nullopt;
    }
    const Entry entry = entries_.back();
    entries_.pop_back();
    std::optional<Proven> proven;
    const auto failure = pg::try_in_subtransaction([&] {
        const Oid relid = archive_relation(spi, entry.target, entry.leaf);
        pg::LockWait wait;
        if (OidIsValid(relid))
            pg::lock_in_tries(pg::require_owner(relid), AccessShareLock, wait);
        proven = Proven{entry.leaf, expected_rows(spi, entry.target, entry.leaf)};
    });
    PS_FAILPOINT("proof.noted");
    if (failure && failure->sqlstate != "42P01" && failure->sqlstate != "55P03")
        keep_failure(entry, *failure);
    news.push_back(failure ? entry.leaf + " could not be counted: " + failure->message
                           : entry.leaf + ": " + std::to_string(proven->total.rows) + " rows counted and digested");
    return proven;
}

} // namespace privacy_scan::retention
