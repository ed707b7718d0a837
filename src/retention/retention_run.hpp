// A run of one root's retention, a transaction at a time: what run_retention() and a job have in common.
#pragma once

#include "retention/retention_plan.hpp"

namespace privacy_scan::retention
{

// Refuses an instant later than the clock: rows would go that have not expired. Error 22023.
void refuse_future(std::int64_t at);

// The policy of a root that the caller owns. Errors: 42501, 42704.
Policy policy_of_caller(pg::Spi &spi, Oid root);

class RootRun
{
  public:
    // Errors: 42501, 42704 and those of a family.
    RootRun(pg::Spi &spi, Oid root, std::int64_t at, std::int64_t max_rows);

    // Moves the next batch in the caller's transaction. Whether there may be more is is_done()'s to say.
    void step(pg::Spi &spi);
    bool is_done() const { return batch_.last; }

    // Gathers statistics of what was changed; nothing where nothing was.
    void analyze(pg::Spi &spi) const;

    const Family &family() const { return work_.family; }
    const Batch &last_batch() const { return batch_; }
    std::int64_t roots() const { return summary_.roots(); }
    std::int64_t rows() const { return rows_; }

  private:
    Work work_;
    Summary summary_;
    Batch batch_;
    std::int64_t max_rows_;
    std::int64_t rows_ = 0;
};

} // namespace privacy_scan::retention
