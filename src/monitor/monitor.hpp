// Statistics of partitioned parents and samples of what grows: what the job 'statistics' runs, and the SQL
// functions without it. Watched are the relations that were entrusted to the extension: managed partition
// sets, families with a retention policy, and their archives.
#pragma once

#include "monitor/watch.hpp"
#include "pg/lock.hpp"

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

// One run, a transaction at a time: what run_statistics() and the job have in common.
class StatisticsRun
{
  public:
    // Of one relation or (InvalidOid) all that the current user owns, and the database. Errors: for one
    // relation 42501, 42P01.
    StatisticsRun(pg::Spi &spi, Oid relation, std::int64_t at);

    // Goes on in the caller's transaction, which should be committed then: first the samples' own partitions,
    // then relation by relation. A relation that fails is a row, and the others go on. The rows of this step.
    StatisticsReport step(pg::Spi &spi);
    bool is_done() const { return begun_ && next_ == list_.size(); }

    // Relations sampled, of how many; the one that is next, InvalidOid where none is known.
    std::size_t done() const { return next_; }
    std::size_t total() const { return list_.size(); }
    Oid next_relation() const { return begun_ && !is_done() ? list_[next_].relid : InvalidOid; }

  private:
    Oid relation_;
    std::int64_t at_;
    std::vector<Watched> list_;
    std::size_t next_ = 0;
    bool begun_ = false;
};

// privacy_scan.metric_samples: the samples of this database, and the object of its statistics job.
Oid samples_table();

} // namespace privacy_scan::monitor
