// Running jobs: the one way, whoever asks for it. Each job is run under a lock of its own, held over its
// commits; its start is committed before its work, so that a crash is seen by the next who looks.
#pragma once

#include "jobs/job_log.hpp"
#include "pg/subxact.hpp"

namespace privacy_scan::jobs
{

enum class Asked {
    by_clock, // only where the job is due
    by_name
};

enum class RunResult {
    ran,
    busy,    // somebody else runs it
    not_now, // not due, or gone by now
    paused
};

struct RunReport {
    RunResult result = RunResult::not_now;
    pg::Attempt attempt; // of a run: why it failed, and whether it was cancelled
    std::string name;    // of the job
};

// Runs one job as of the instant. The connection must be one that may commit; each transaction must be READ
// COMMITTED. Whatever the work fails with is in the report and the job's history. Errors: what our own tables
// answer.
//
// announce: is told the job's name before its work begins.
using Announce = std::function<void(const std::string &)>;
RunReport run_one(pg::Spi &spi, JobKey key, Instant at, Asked asked, const Announce &announce = {});

// Runs the caller's jobs that are due, one after the other; a failure is a WARNING and stops nothing. Errors:
// 57014 where it was cancelled.
void run_due(pg::Spi &spi, Instant at, const Announce &announce = {});

} // namespace privacy_scan::jobs
