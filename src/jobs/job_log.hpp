// The start mark and the history of a job. All is written in the caller's transaction, under the job's lock.
#pragma once

#include "jobs/job.hpp"

namespace privacy_scan::jobs
{

// After so many crashes in a row a job is paused.
constexpr std::int32_t most_crashes = 3;

// What a run did.
struct Tally {
    std::int64_t rows = 0;       // moved
    std::int64_t partitions = 0; // made
    std::int64_t wal_bytes = 0;
    double lock_wait_ms = 0;
    double blocked_others_ms = 0; // at most, see pg/strong_lock.hpp
};

enum class Outcome { done, failed, cancelled };

// Sets the start mark: to be committed before the work. Answers a request where one waits. The number of the
// run.
std::int64_t begin_run(pg::Spi &spi, const Job &job);

// Takes the mark away, writes what the run did and why it failed, and when the job is to start again.
// Identical failures in a row become one row. Keeps the newest privacy_scan.job_history rows.
void end_run(pg::Spi &spi, const Job &job, std::int64_t run, Outcome outcome, const Tally &tally,
             const std::optional<pg::ErrorText> &failure, Instant next_start);

// The same for a run that left its mark behind. Where the extension was updated since it began, it ended in
// order, without a word to tables that may have been others by then, and is due again at once. Otherwise its
// process died; the job's third crash in a row pauses it.
void settle_lost_run(pg::Spi &spi, const Job &job, Instant at);

// A request for a run, or the one that is waiting already: its number.
std::int64_t request_run(pg::Spi &spi, JobKey key);

} // namespace privacy_scan::jobs
