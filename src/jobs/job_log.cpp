// See job_log.hpp.
#include "pg/postgres.hpp"

#include "jobs/job_log.hpp"

#include "pg/compat.hpp"
#include "pg/ident.hpp"
#include "pg/lock.hpp"
#include "pg/owner.hpp"
#include "settings/settings.hpp"

namespace privacy_scan::jobs
{

namespace
{

const char *to_string(Outcome outcome)
{
    switch (outcome) {
    case Outcome::done:
        return "done";
    case Outcome::failed:
        return "failed";
    case Outcome::cancelled:
        break;
    }
    return "cancelled";
}

void prune(pg::Spi &spi, JobKey key)
{
    std::vector<pg::Param> params = params_of(key);
    params.push_back(pg::int4_param(settings::job_history()));
    spi.run(
        "DELETE FROM privacy_scan.job_run_log l WHERE kind = $1 AND relation = $2 AND finished_at IS NOT NULL"
        " AND id <= (SELECT id FROM privacy_scan.job_run_log WHERE kind = $1 AND relation = $2"
        " AND finished_at IS NOT NULL ORDER BY id DESC OFFSET $3 LIMIT 1)",
        params);
}

void write_end(pg::Spi &spi, std::int64_t run, Outcome outcome, const Tally &tally,
               const pg::ErrorText &failure)
{
    spi.run("UPDATE privacy_scan.job_run_log SET finished_at = clock_timestamp(), outcome = $2, rows = $3,"
            " partitions = $4, wal_bytes = $5, lock_wait_ms = $6, blocked_others_ms = $7, sqlstate = $8, "
            "message = $9 WHERE id = $1",
            {pg::int8_param(run), pg::text_param(to_string(outcome)), pg::int8_param(tally.rows),
             pg::int8_param(tally.partitions), pg::int8_param(tally.wal_bytes),
             pg::float8_param(tally.lock_wait_ms), pg::float8_param(tally.blocked_others_ms),
             pg::text_or_null(failure.sqlstate), pg::text_or_null(failure.message)});
}

// Adds a failure to the row before it, where that says the same and neither was asked for.
void fold(pg::Spi &spi, JobKey key, std::int64_t run)
{
    std::vector<pg::Param> params = params_of(key);
    params.push_back(pg::int8_param(run));
    spi.run("WITH this AS (SELECT * FROM privacy_scan.job_run_log WHERE id = $3 AND requested_at IS NULL),"
            " before AS (SELECT l.* FROM privacy_scan.job_run_log l WHERE kind = $1 AND relation = $2"
            " AND started_at < (SELECT started_at FROM this) ORDER BY started_at DESC LIMIT 1),"
            " gone AS (DELETE FROM privacy_scan.job_run_log l USING this, before WHERE l.id = before.id"
            " AND before.requested_at IS NULL AND before.outcome = 'failed'"
            " AND before.sqlstate = this.sqlstate AND before.message = this.message RETURNING l.*)"
            " UPDATE privacy_scan.job_run_log l SET runs = gone.runs + 1, rows = l.rows + gone.rows,"
            " partitions = l.partitions + gone.partitions, wal_bytes = l.wal_bytes + gone.wal_bytes,"
            " lock_wait_ms = l.lock_wait_ms + gone.lock_wait_ms,"
            " blocked_others_ms = greatest(l.blocked_others_ms, gone.blocked_others_ms)"
            " FROM gone WHERE l.id = $3",
            params);
}

// A next start that was set since the job was read, with another schedule, stays.
void write_state(pg::Spi &spi, const Job &job, Instant next_start, std::int32_t failures,
                 std::int32_t crashes)
{
    std::vector<pg::Param> params = params_of(job.key);
    params.push_back(pg::timestamptz_param(next_start));
    params.push_back(pg::int4_param(failures));
    params.push_back(pg::int4_param(crashes));
    params.push_back(next_start_param(job));
    spi.run("UPDATE privacy_scan.job_states SET run = NULL, failures = $4, crashes = $5, next_start ="
            " CASE WHEN next_start IS DISTINCT FROM $6 THEN next_start ELSE $3 END"
            " WHERE kind = $1 AND relation = $2",
            params);
}

// Somebody may hold our rows for a moment; a run of hours is not to be lost for that.
void write_in_tries(const std::function<void()> &body)
{
    pg::LockWait wait;
    const auto failure =
        pg::try_with_locks({pg::own_relation("job_states"), pg::own_relation("job_run_log")}, wait, body);
    if (failure)
        pg::raise(*failure);
}

std::int64_t set_start_mark(pg::Spi &spi, const Job &job)
{
    std::vector<pg::Param> params = params_of(job.key);
    params.push_back(pg::int4_param(MyProcPid));
    pg::CatalogScope scope;
    pg::Rows asked = spi.run(
        "UPDATE privacy_scan.job_run_log SET outcome = 'running', started_at = clock_timestamp(), pid = $3"
        " WHERE id = (SELECT min(id) FROM privacy_scan.job_run_log WHERE kind = $1 AND relation = $2"
        " AND outcome = 'requested') RETURNING id",
        params);
    const std::int64_t run =
        !asked.empty()
            ? asked.int8(0, 1)
            : spi.run("INSERT INTO privacy_scan.job_run_log (kind, relation, started_at, outcome, pid)"
                      " VALUES ($1, $2, clock_timestamp(), 'running', $3) RETURNING id",
                      params)
                  .int8(0, 1);
    params = params_of(job.key);
    params.push_back(pg::int8_param(run));
    spi.run("INSERT INTO privacy_scan.job_states (kind, relation, run) VALUES ($1, $2, $3)"
            " ON CONFLICT (kind, relation) DO UPDATE SET run = $3, phase = NULL, phase_relation = NULL, done "
            "= NULL, total = NULL",
            params);
    return run;
}

} // namespace

std::int64_t begin_run(pg::Spi &spi, const Job &job)
{
    std::int64_t run = 0;
    write_in_tries([&] { run = set_start_mark(spi, job); });
    return run;
}

void end_run(pg::Spi &spi, const Job &job, std::int64_t run, Outcome outcome, const Tally &tally,
             const std::optional<pg::ErrorText> &failure, Instant next_start)
{
    const std::int32_t failures = outcome == Outcome::done     ? 0
                                  : outcome == Outcome::failed ? job.failures + 1
                                                               : job.failures;
    write_in_tries([&] {
        pg::CatalogScope scope;
        write_end(spi, run, outcome, tally, failure.value_or(pg::ErrorText{}));
        if (outcome == Outcome::failed)
            fold(spi, job.key, run);
        write_state(spi, job, next_start, failures, 0);
        prune(spi, job.key);
    });
}

namespace
{

// By the transactions that wrote the two rows.
bool is_extension_younger(pg::Spi &spi, std::int64_t run)
{
    pg::CatalogScope scope;
    return !spi.run("SELECT FROM pg_catalog.pg_extension e, privacy_scan.job_run_log l"
                    " WHERE e.extname = 'privacy_scan' AND l.id = $1 AND age(e.xmin) < age(l.xmin)",
                    {pg::int8_param(run)})
                .empty();
}

void count_crash(pg::Spi &spi, const Job &job, Instant next_start)
{
    const std::int32_t crashes = job.crashes + 1;
    const std::string reason =
        std::to_string(crashes) + " crashes in a row; the server's log says what the process died of";
    write_in_tries([&] {
        pg::CatalogScope scope;
        spi.run("UPDATE privacy_scan.job_run_log SET outcome = 'crashed', finished_at = clock_timestamp(),"
                " message = 'the process that ran it died' WHERE id = $1",
                {pg::int8_param(*job.run)});
        write_state(spi, job, next_start, job.failures + 1, crashes);
        prune(spi, job.key);
        if (crashes >= most_crashes)
            pause(spi, job.key, reason);
    });
}

} // namespace

void settle_lost_run(pg::Spi &spi, const Job &job, Instant at)
{
    if (is_extension_younger(spi, *job.run))
        end_run(spi, job, *job.run, Outcome::cancelled, {}, pg::text_of(pg::ExtensionGone()), at);
    else
        count_crash(spi, job, at + backoff(job.failures + 1, pg::compat::random_fraction()));
}

std::int64_t request_run(pg::Spi &spi, JobKey key)
{
    pg::CatalogScope scope;
    pg::Rows waiting =
        spi.run("SELECT min(id) FROM privacy_scan.job_run_log"
                " WHERE kind = $1 AND relation = $2 AND outcome = 'requested' HAVING count(*) > 0",
                params_of(key));
    if (!waiting.empty())
        return waiting.int8(0, 1);
    return spi
        .run("INSERT INTO privacy_scan.job_run_log (kind, relation, requested_at, outcome)"
             " VALUES ($1, $2, clock_timestamp(), 'requested') RETURNING id",
             params_of(key))
        .int8(0, 1);
}

} // namespace privacy_scan::jobs
