// The room's SQL functions. Each checks its arguments and the caller's rights before it takes a lock.
#include "pg/postgres.hpp"

#include "jobs/job_runner.hpp"
#include "partition/key_axis.hpp"
#include "jobs/pg_cron.hpp"
#include "jobs/progress.hpp"
#include "pg/arguments.hpp"
#include "pg/clock.hpp"
#include "pg/compat.hpp"
#include "pg/entry.hpp"
#include "pg/owner.hpp"
#include "pg/rowset.hpp"
#include "pg/standby.hpp"

extern "C" {
#include <utils/date.h>
#include <utils/syscache.h>
}

using namespace privacy_scan;
using namespace privacy_scan::jobs;

namespace
{

Instant instant_argument(const pg::Arguments &args, int n)
{
    const Instant at = DatumGetTimestampTz(args.required(n, "at"));
    if (at < partition::first_instant || at >= partition::last_instant)
        pg::fail(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, "argument \"at\" lies outside the years 1 to 9999");
    return at;
}

// The job named by the first argument, of the caller's own.
JobKey job_argument(pg::Spi &spi, const pg::Arguments &args)
{
    return job_of_caller(spi, args.text(0, "job"));
}

void refuse(const RunReport &report, const std::string &name)
{
    if (report.result == RunResult::busy)
        pg::fail(ERRCODE_LOCK_NOT_AVAILABLE, "job \"" + name + "\" is being run by another session", {},
                 "The view privacy_scan.job_runs shows its process.");
    if (report.result == RunResult::paused)
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "job \"" + name + "\" is paused", {},
                 "The view privacy_scan.jobs says why; privacy_scan.resume_job() ends the pause.");
}

} // namespace

// CALL privacy_scan.run_job(job text, at timestamptz): runs one job now, due or not, committing on its way.
// Errors: 22004, 22008, 22023, 42501, 42704, 25006, 2D000 inside a transaction block, 55P03 somebody else
// runs it, 55000 it is paused, and what the job fails with, which is in privacy_scan.job_runs by then.
PS_WRITING_FUNCTION(ps_run_job)
{
    pg::Arguments args(fcinfo);
    const Instant at = instant_argument(args, 1);
    pg::Spi spi(fcinfo);
    const JobKey key = job_argument(spi, args);
    const RunReport report = run_one(spi, key, at, Asked::by_name);
    refuse(report, args.text(0, "job"));
    if (report.attempt.failure)
        pg::raise(*report.attempt.failure);
    return Datum(0);
}

// CALL privacy_scan.run_due_jobs(at timestamptz, runner text): runs the caller's jobs that are due at the
// instant or were requested, one after the other. A job that fails is a WARNING and a row in
// privacy_scan.job_runs; the others go on. runner 'pg_cron' notes who runs them, so that the worker leaves
// them alone: by the extension's owner only. Errors: 22004, 22008, 22023 another runner, 42501, 25006, 2D000,
// 25001 not READ COMMITTED, 57014 cancelled.
PS_WRITING_FUNCTION(ps_run_due_jobs)
{
    pg::Arguments args(fcinfo);
    const Instant at = instant_argument(args, 0);
    const std::string runner = args.text_or_empty(1);
    if (!runner.empty() && runner != "pg_cron")
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "there is no runner \"" + runner + "\"", {},
                 "Say 'pg_cron', or leave it out.");
    pg::Spi spi(fcinfo);
    pg::require_read_committed("run_due_jobs()");
    if (runner == "pg_cron")
        choose_pg_cron(spi);
    run_due(spi, at);
    return Datum(0);
}

// privacy_scan.request_job(job text) returns bigint: asks whoever runs due jobs next to run this one; the id
// of the row in privacy_scan.job_runs that will say how it went. VOLATILE. Errors: 22004, 22023, 42501,
// 42704, 25006, 55000 it is paused.
PS_WRITING_FUNCTION(ps_request_job)
{
    pg::Arguments args(fcinfo);
    pg::Spi spi;
    const JobKey key = job_argument(spi, args);
    if (find_job(spi, key)->is_paused)
        refuse({RunResult::paused, {}, {}}, args.text(0, "job"));
    return Int64GetDatum(request_run(spi, key));
}

// privacy_scan.pause_job(job text, reason text) returns boolean: the job is not started any more; a run that
// has begun goes on. False where it was paused. VOLATILE. Errors: 22004, 22023, 42501, 42704, 25006.
PS_WRITING_FUNCTION(ps_pause_job)
{
    pg::Arguments args(fcinfo);
    pg::Spi spi;
    const JobKey key = job_argument(spi, args);
    return BoolGetDatum(pause(spi, key, args.text_or_empty(1)));
}

// privacy_scan.resume_job(job text) returns boolean: ends the pause and forgets failures and crashes in a
// row. False where it wasn't paused. VOLATILE. Errors as pause_job().
PS_WRITING_FUNCTION(ps_resume_job)
{
    pg::Arguments args(fcinfo);
    pg::Spi spi;
    const JobKey key = job_argument(spi, args);
    return BoolGetDatum(resume(spi, key));
}

// privacy_scan.list_progress(): a row for each running job of the caller's relations in this database that is
// in shared memory; none where the library is not preloaded. STABLE. No errors.
PS_FUNCTION(ps_list_progress)
{
    pg::RowSink sink(fcinfo);
    const Oid caller = GetUserId();
    for (const ProgressEntry &entry : running_jobs()) {
        const Oid object = entry.object;
        if (!pg::guarded([=] {
                return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(object)) &&
                       pg::compat::owns_relation(object, caller);
            }))
            continue;
        sink.put({pg::cell(to_string(entry.kind)), pg::cell_oid(object), pg::cell(entry.phase),
                  pg::cell_oid(entry.relation), pg::cell(entry.done),
                  entry.total < 0 ? pg::null_cell() : pg::cell(entry.total)});
    }
    return Datum(0);
}

namespace
{

Micros micros_argument(const pg::Arguments &args, int n, const char *name)
{
    return micros_of(*DatumGetIntervalP(args.required(n, name)));
}

void check(const Job &job)
{
    const std::string fault = fault_of(job.schedule);
    if (!fault.empty())
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, fault);
    if (job.timeout && (*job.timeout < 1000 || *job.timeout > 24 * one_day))
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE,
                 "argument \"timeout\" must be between 1 millisecond and 24 days", {},
                 "Leave it out for privacy_scan.job_timeout.");
    partition::open_zone(job.time_zone);
}

} // namespace

// privacy_scan.schedule_job(job text, every interval, at time, time_zone text, days text, jitter interval,
// timeout interval) returns timestamptz: sets the schedule of a job and its next start, which is returned.
// VOLATILE. Errors: 22004, 22023 what makes no schedule, 42501, 42704, 25006.
PS_WRITING_FUNCTION(ps_schedule_job)
{
    pg::Arguments args(fcinfo);
    Job job;
    job.schedule.every = micros_argument(args, 1, "every");
    if (!args.is_null(2))
        job.schedule.at = DatumGetTimeADT(args.datum(2));
    job.time_zone = args.text(3, "time_zone");
    job.days = args.text_or_empty(4);
    job.schedule.days = days_of(job.days);
    job.schedule.jitter = micros_argument(args, 5, "jitter");
    if (!args.is_null(6))
        job.timeout = micros_argument(args, 6, "timeout");
    pg::Spi spi;
    job.key = job_argument(spi, args);
    check(job);
    const Instant start = next_start_of(job, pg::now());
    store_schedule(spi, job);
    store_next_start(spi, job.key, start);
    return TimestampTzGetDatum(start);
}
