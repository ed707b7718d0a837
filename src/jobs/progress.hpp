// How far the jobs are that run now. Where the library is preloaded a runner writes it into shared memory,
// and it is seen at once; elsewhere into job_states, and it is seen when the step is committed.
#pragma once

#include "jobs/job.hpp"

extern "C" {
#include <storage/lwlock.h>
}

namespace privacy_scan::jobs
{

// What a job is about to do.
struct Progress {
    const char *phase; // lives as long as its task
    Oid relation;
    std::int64_t done; // of the run, in the unit of its kind
    std::optional<std::int64_t> total;
};

// A run, in shared memory.
struct ProgressEntry {
    int pid; // 0: free
    Oid database;
    Oid object;
    Kind kind;
    Oid relation;
    char phase[32];
    std::int64_t done;
    std::int64_t total; // -1: not known
};

// What does not find room on it is seen as without shared memory.
struct ProgressBoard {
    ProgressEntry entries[64];
};

// Red. At the server's start, by whoever has the memory: where the board is, zeroed, and its lock.
void use_progress_board(ProgressBoard *board, LWLock *lock);

// The run of a job in this process, from its making to the end of the scope, however it ends.
class ProgressReport
{
  public:
    explicit ProgressReport(JobKey key);
    ProgressReport(const ProgressReport &) = delete;
    ProgressReport &operator=(const ProgressReport &) = delete;
    ~ProgressReport();

    // In the transaction of the step that has ended, which then commits.
    void show(pg::Spi &spi, const Progress &progress);

  private:
    JobKey key_;
    ProgressEntry *entry_; // null: none
};

// The runs of this database, as shared memory has them now.
std::vector<ProgressEntry> running_jobs();

} // namespace privacy_scan::jobs
