// See leaf_proof.hpp.
#include "pg/postgres.hpp"

#include "retention/leaf_proof.hpp"

#include "pg/failpoint.hpp"
#include "pg/owner.hpp"
#include "pg/lock.hpp"

namespace privacy_scan::retention
{

void ProofRun::find(pg::Spi &spi)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run("SELECT target, leaf FROM privacy_scan.archive_ledger WHERE root = $1 AND rows IS NULL"
                            " GROUP BY target, leaf ORDER BY min(id) DESC",
                            {pg::regclass_param(root_)});
    for (std::size_t row = 0; row < rows.size(); ++row)
        if (!tried_.count(rows.text(row, 2)))
            entries_.push_back({rows.text(row, 1), rows.text(row, 2)});
}

std::optional<ProofRun::Proven> ProofRun::step(pg::Spi &spi, std::vector<std::string> &news)
{
    if (!std::exchange(is_found_, true)) {
        find(spi);
        return std::nullopt;
    }
    const Entry entry = entries_.back();
    entries_.pop_back();
    tried_.insert(entry.leaf);
    std::optional<Proven> proven;
    pg::LockWait wait;
    auto failure = pg::try_with_locks({archive_relation(spi, entry.target, entry.leaf)}, wait, [&] {
        proven = Proven{entry.leaf, expected_rows(spi, entry.target, entry.leaf)};
    });
    PS_FAILPOINT("proof.noted");
    if (failure && failure->sqlstate != "42P01" && !failure_)
        failure_ = failure;
    news.push_back(failure ? entry.leaf + " could not be counted: " + failure->message
                           : entry.leaf + ": " + std::to_string(proven->total.rows) + " rows counted and digested");
    return proven;
}

} // namespace privacy_scan::retention
