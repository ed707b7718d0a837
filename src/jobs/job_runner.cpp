// See job_runner.hpp.
#include "pg/postgres.hpp"

#include "jobs/job_runner.hpp"

#include "jobs/job_task.hpp"
#include "pg/compat.hpp"
#include "pg/deadline.hpp"
#include "pg/lock.hpp"
#include "pg/memory.hpp"
#include "pg/owner.hpp"
#include "pg/strong_lock.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <executor/instrument.h>
}

namespace privacy_scan::jobs
{

namespace
{

std::int64_t timeout_ms(const Job &job)
{
    return job.timeout ? std::max<std::int64_t>(1, *job.timeout / 1000) : settings::job_timeout_ms();
}

pg::ErrorText out_of_time(std::int64_t milliseconds)
{
    return pg::text_of(
        pg::Error{ERRCODE_QUERY_CANCELED,
                  "the run was ended after its timeout of " + std::to_string(milliseconds) + " ms",
                  {},
                  "What it committed stays; the next run goes on from there."});
}

// One part of a run in a subtransaction, within the time that is left.
pg::Attempt attempt(pg::Deadline &deadline, std::int64_t timeout, const std::function<void()> &body)
{
    pg::Attempt result = pg::try_until_interrupted([&] {
        deadline.arm();
        body();
        deadline.disarm();
    });
    deadline.disarm();
    if (result.is_interrupted && deadline.has_expired())
        result = {out_of_time(timeout), false};
    return result;
}

// All parts of the run, each committed. What fails is rolled back and returned; what was committed stays.
pg::Attempt work(pg::Spi &spi, const Job &job, Instant at, Tally &tally)
{
    const std::int64_t timeout = timeout_ms(job);
    pg::Deadline deadline(timeout);
    ProgressReport report(job.key);
    std::unique_ptr<Task> task;
    pg::Attempt result = attempt(deadline, timeout, [&] { task = make_task(spi, job.key, at); });
    if (task)
        report.show(spi, task->progress());
    for (bool more = task != nullptr; more && !result.failure;) {
        pg::MemoryScope memory("step of a job");
        result = attempt(deadline, timeout, [&] { more = task->step(spi); });
        report.show(spi, task->progress());
        spi.commit();
    }
    if (result.failure) // by then the one in the way may be gone; a long transaction is still there
        pg::name_holders(*result.failure, task ? task->relations() : std::vector<Oid>{job.key.relid},
                         ExclusiveLock);
    if (!task)
        return result;
    if (!result.is_interrupted) {
        const pg::Attempt finished = attempt(deadline, timeout, [&] { task->finish(spi); });
        if (!result.failure)
            result = finished;
    }
    tally = task->tally();
    if (!result.failure)
        result.failure = task->partial_failure();
    return result;
}

Outcome outcome_of(const pg::Attempt &attempt)
{
    return attempt.is_interrupted ? Outcome::cancelled : attempt.failure ? Outcome::failed : Outcome::done;
}

Instant next_start_after(const Job &job, Outcome outcome, Instant at)
{
    if (outcome == Outcome::done)
        return next_start_of(job, at);
    const std::int32_t failures = outcome == Outcome::failed ? job.failures + 1 : 1;
    return at + backoff(failures, pg::compat::random_fraction());
}

// Start mark, work, end.
pg::Attempt run(pg::Spi &spi, const Job &job, Instant at)
{
    const TimestampTz begun = GetCurrentTimestamp();
    const std::uint64_t wal_before = pgWalUsage.wal_bytes;
    pg::forget_strong_locks();
    pg::forget_lock_waits();
    const std::int64_t number = begin_run(spi, job);
    spi.commit();
    Tally tally;
    const pg::Attempt result = work(spi, job, at, tally);
    spi.commit(); // what is still held ends here
    tally.lock_wait_ms = pg::lock_waits_ms();
    tally.blocked_others_ms = pg::longest_strong_lock_ms();
    tally.wal_bytes = static_cast<std::int64_t>(pgWalUsage.wal_bytes - wal_before);
    const Outcome outcome = outcome_of(result);
    const Instant finished = at + (GetCurrentTimestamp() - begun);
    end_run(spi, job, number, outcome, tally, result.failure, next_start_after(job, outcome, finished));
    return result;
}

// Decides and runs, under the job's lock.
RunReport run_locked(pg::Spi &spi, JobKey key, Instant at, Asked asked, const Announce &announce)
{
    std::optional<Job> job = find_job(spi, key);
    if (!job)
        return {};
    RunReport report{RunResult::not_now, {}, job->name};
    if (job->run) {
        settle_lost_run(spi, *job, at);
        job = find_job(spi, key);
    }
    if (job->is_paused) {
        report.result = RunResult::paused;
    } else if (asked == Asked::by_name || is_due(*job, at)) {
        report.result = RunResult::ran;
        if (announce)
            announce(job->name);
        report.attempt = run(spi, *job, at);
    } else if (!job->next_start || is_misplaced(*job, at)) {
        put_off(spi, *job, next_start_of(*job, at));
    }
    return report;
}

void warn(const RunReport &report)
{
    const char *job = report.name.c_str(), *code = report.attempt.failure->sqlstate.c_str(),
               *message = report.attempt.failure->message.c_str();
    pg::guarded(
        [=] { ereport(WARNING, (errmsg("job %s failed with SQLSTATE %s: %s", job, code, message))); });
}

} // namespace

RunReport run_one(pg::Spi &spi, JobKey key, Instant at, Asked asked, const Announce &announce)
{
    pg::MemoryScope memory("run of a job");
    spi.commit(); // what is read below must be younger than the lock
    pg::require_read_committed("a job");
    const pg::SessionLock lock(lock_of(key));
    if (!lock.is_held())
        return {RunResult::busy, {}, {}};
    RunReport report = run_locked(spi, key, at, asked, announce);
    spi.commit();
    return report;
}

void run_due(pg::Spi &spi, Instant at, const Announce &announce)
{
    forget_dropped(spi);
    for (const JobKey &key : due_jobs(spi, at)) {
        const RunReport report = run_one(spi, key, at, Asked::by_clock, announce);
        if (report.attempt.is_interrupted)
            pg::raise(*report.attempt.failure);
        if (report.attempt.failure)
            warn(report);
    }
}

} // namespace privacy_scan::jobs
