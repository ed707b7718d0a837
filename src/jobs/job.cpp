// See job.hpp.
#include "pg/postgres.hpp"

#include "jobs/job.hpp"

#include "partition/key_axis.hpp"
#include "pg/compat.hpp"
#include "pg/ident.hpp"
#include "pg/owner.hpp"

#include <array>

extern "C" {
#include <utils/date.h>
#include <utils/regproc.h>
#include <utils/syscache.h>
}

namespace privacy_scan::jobs
{

const char *to_string(Kind kind)
{
    switch (kind) {
    case Kind::partitions:
        return "partitions";
    case Kind::retention:
        return "retention";
    case Kind::statistics:
        return "statistics";
    case Kind::verification:
        return "verification";
    case Kind::drill:
        return "drill";
    case Kind::splits:
        break;
    }
    return "splits";
}

Micros micros_of(const Interval &interval)
{
    constexpr std::int32_t most_months = 12000, most_days = 366000;
    if (std::abs(interval.month) > most_months || std::abs(interval.day) > most_days ||
        interval.time > most_days * one_day || interval.time < -most_days * one_day)
        return INT64_MAX;
    return interval.time + (interval.day + 30 * static_cast<Micros>(interval.month)) * one_day;
}

unsigned days_of(const std::string &text)
{
    constexpr std::array<std::string_view, 7> names{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    unsigned days = 0;
    for (std::size_t at = text.find_first_not_of(" ,"); at != std::string::npos;) {
        const std::size_t end = std::min(text.find_first_of(" ,", at), text.size());
        const auto *name = std::find(names.begin(), names.end(), std::string_view(text).substr(at, end - at));
        if (name == names.end())
            pg::fail(ERRCODE_INVALID_PARAMETER_VALUE,
                     "\"" + text.substr(at, end - at) + "\" is not a day of the week", {},
                     "The days are mon, tue, wed, thu, fri, sat and sun.");
        days |= 1u << (name - names.begin());
        at = text.find_first_not_of(" ,", end);
    }
    return days == 0 ? every_day : days;
}

std::vector<pg::Param> params_of(JobKey key)
{
    return {pg::text_param(to_string(key.kind)), pg::regclass_param(key.relid)};
}

namespace
{

// Red.
Oid relation_of_name(const char *name)
{
    return DatumGetObjectId(DirectFunctionCall1(regclassin, CStringGetDatum(name)));
}

// What makes a job of that kind.
const char *hint_of_missing(Kind kind)
{
    switch (kind) {
    case Kind::partitions:
        return "Call privacy_scan.manage_partitions() first.";
    case Kind::retention:
        return "Call privacy_scan.set_retention() first.";
    case Kind::verification:
    case Kind::drill:
        return "The names are 'verification privacy_scan.archive_ledger' and 'drill "
               "privacy_scan.archive_ledger'; they are there once something was archived.";
    case Kind::splits:
        return "Call privacy_scan.split_partition(.., background => true) first, or reshape_partitions().";
    case Kind::statistics:
        break;
    }
    return "Its only name is 'statistics privacy_scan.metric_samples'; it is there once a relation is "
           "managed or "
           "has a retention policy.";
}

Kind kind_of_name(const std::string &name)
{
    for (Kind kind : {Kind::partitions, Kind::retention, Kind::statistics, Kind::verification, Kind::drill,
                      Kind::splits})
        if (name == to_string(kind))
            return kind;
    pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "there is no kind of job \"" + name + "\"", {},
             "A job's name is its kind and its relation, such as 'partitions public.event'; the view "
             "privacy_scan.jobs shows them.");
}

Micros micros_in(const pg::Rows &rows, int column)
{
    return micros_of(*DatumGetIntervalP(rows.datum(0, column)));
}

Job job_of_row(const pg::Rows &rows, JobKey key)
{
    Job job;
    job.key = key;
    job.name = rows.text(0, 1);
    job.schedule.every = micros_in(rows, 2);
    if (!rows.is_null(0, 3))
        job.schedule.at = DatumGetTimeADT(rows.datum(0, 3));
    job.time_zone = rows.text(0, 4);
    job.days = rows.text(0, 5);
    job.schedule.days = days_of(job.days);
    job.schedule.jitter = micros_in(rows, 6);
    if (!rows.is_null(0, 7))
        job.timeout = micros_in(rows, 7);
    job.is_paused = rows.boolean(0, 8);
    job.pause_reason = rows.text(0, 9);
    if (!rows.is_null(0, 10))
        job.next_start = rows.int8(0, 10);
    job.starts_at_once = rows.boolean(0, 11);
    job.is_requested = rows.boolean(0, 12);
    if (!rows.is_null(0, 13))
        job.run = rows.int8(0, 13);
    job.failures = rows.int4(0, 14);
    job.crashes = rows.int4(0, 15);
    return job;
}

} // namespace

JobKey job_of_caller(pg::Spi &spi, const std::string &name)
{
    const std::size_t blank = name.find(' ');
    const Kind kind = kind_of_name(name.substr(0, blank));
    const std::string relation = blank == std::string::npos ? "" : name.substr(blank + 1);
    const char *text = relation.c_str();
    const JobKey key{kind, pg::guarded([=] { return relation_of_name(text); })};
    pg::require_owner(key.relid);
    if (!find_job(spi, key))
        pg::fail(ERRCODE_UNDEFINED_OBJECT, "there is no job \"" + name + "\"", {}, hint_of_missing(kind));
    return key;
}

std::optional<Job> find_job(pg::Spi &spi, JobKey key)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run("SELECT job, every, at, time_zone, days, jitter, timeout, paused_at IS NOT NULL,"
                            " pause_reason, next_start, at_once, requested, run, failures, crashes"
                            " FROM privacy_scan.job_definitions WHERE kind = $1 AND relation = $2",
                            params_of(key));
    if (rows.empty())
        return std::nullopt;
    return job_of_row(rows, key);
}

std::vector<JobKey> due_jobs(pg::Spi &spi, Instant at)
{
    std::vector<JobKey> keys;
    const Oid caller = GetUserId();
    pg::CatalogScope scope;
    pg::Rows rows = spi.run("SELECT number, relation::oid FROM privacy_scan.job_definitions"
                            " WHERE run IS NOT NULL OR paused_at IS NULL AND (requested OR NOT has_ended)"
                            " AND (next_start IS NULL OR next_start <= $1 OR requested"
                            " OR next_start > $1 + 2 * every + interval '8 days')"
                            " ORDER BY next_start NULLS FIRST, number, job",
                            {pg::timestamptz_param(at)});
    for (std::size_t row = 0; row < rows.size(); ++row) {
        const JobKey key{static_cast<Kind>(rows.int4(row, 1)), rows.oid(row, 2)};
        if (pg::guarded([=] { return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(key.relid)); }) &&
            pg::guarded([=] { return pg::compat::owns_relation(key.relid, caller); }))
            keys.push_back(key);
    }
    return keys;
}

bool is_due(const Job &job, Instant at)
{
    return job.is_requested || job.starts_at_once || (job.next_start && *job.next_start <= at);
}

pg::ObjectTag lock_of(JobKey key)
{
    return {pg::own_relation("job_states"), key.relid, static_cast<std::uint16_t>(key.kind)};
}

bool is_misplaced(const Job &job, Instant at)
{
    return job.next_start && *job.next_start > at + 2 * job.schedule.every + 8 * one_day;
}

Instant next_start_of(const Job &job, Instant after)
{
    std::unique_ptr<partition::Zone> zone;
    try {
        zone = partition::open_zone(job.time_zone);
    } catch (const pg::Error &) {
        // An update of the zones has taken it away; a job that starts at another hour is better than none.
    }
    return next_start(job.schedule, zone ? *zone : partition::utc_zone(), after,
                      pg::compat::random_fraction());
}

namespace
{

// Red.
Datum interval_of(Micros micros)
{
    auto *interval = static_cast<Interval *>(palloc0(sizeof(Interval)));
    interval->day = static_cast<std::int32_t>(micros / one_day);
    interval->time = micros % one_day;
    return IntervalPGetDatum(interval);
}

pg::Param interval_param(Micros micros)
{
    return pg::datum_param(INTERVALOID, pg::guarded([=] { return interval_of(micros); }));
}

} // namespace

void store_schedule(pg::Spi &spi, const Job &job)
{
    std::vector<pg::Param> params = params_of(job.key);
    const std::optional<Micros> at = job.schedule.at;
    params.push_back(interval_param(job.schedule.every));
    params.push_back(at ? pg::datum_param(TIMEOID, TimeADTGetDatum(*at)) : pg::null_param(TIMEOID));
    params.push_back(pg::text_param(job.time_zone));
    params.push_back(pg::text_or_null(job.days));
    params.push_back(interval_param(job.schedule.jitter));
    params.push_back(job.timeout ? interval_param(*job.timeout) : pg::null_param(INTERVALOID));
    pg::CatalogScope scope;
    spi.run("INSERT INTO privacy_scan.job_schedules AS s"
            " (kind, relation, every, at, time_zone, days, jitter, timeout) VALUES ($1, $2, $3, $4, $5, $6, "
            "$7, $8)"
            " ON CONFLICT (kind, relation) DO UPDATE SET"
            " every = $3, at = $4, time_zone = $5, days = $6, jitter = $7, timeout = $8",
            params);
}

void store_next_start(pg::Spi &spi, JobKey key, Instant next_start)
{
    std::vector<pg::Param> params = params_of(key);
    params.push_back(pg::timestamptz_param(next_start));
    pg::CatalogScope scope;
    spi.run("INSERT INTO privacy_scan.job_states (kind, relation, next_start) VALUES ($1, $2, $3)"
            " ON CONFLICT (kind, relation) DO UPDATE SET next_start = $3",
            params);
}

pg::Param next_start_param(const Job &job)
{
    return job.next_start ? pg::timestamptz_param(*job.next_start) : pg::null_param(TIMESTAMPTZOID);
}

void put_off(pg::Spi &spi, const Job &job, Instant next_start)
{
    std::vector<pg::Param> params = params_of(job.key);
    params.push_back(pg::timestamptz_param(next_start));
    params.push_back(next_start_param(job));
    pg::CatalogScope scope;
    spi.run("INSERT INTO privacy_scan.job_states AS t (kind, relation, next_start) VALUES ($1, $2, $3)"
            " ON CONFLICT (kind, relation) DO UPDATE SET next_start = $3"
            " WHERE t.next_start IS NOT DISTINCT FROM $4",
            params);
}

bool pause(pg::Spi &spi, JobKey key, const std::string &reason)
{
    std::vector<pg::Param> params = params_of(key);
    params.push_back(pg::text_or_null(reason));
    pg::CatalogScope scope;
    return spi.run("INSERT INTO privacy_scan.job_schedules AS s (kind, relation, paused_at, pause_reason)"
                   " VALUES ($1, $2, clock_timestamp(), $3) ON CONFLICT (kind, relation) DO UPDATE"
                   " SET paused_at = clock_timestamp(), pause_reason = $3 WHERE s.paused_at IS NULL",
                   params)
               .affected() > 0;
}

bool resume(pg::Spi &spi, JobKey key)
{
    pg::CatalogScope scope;
    spi.run("UPDATE privacy_scan.job_states SET failures = 0, crashes = 0 WHERE kind = $1 AND relation = $2",
            params_of(key));
    return spi.run("UPDATE privacy_scan.job_schedules SET paused_at = NULL, pause_reason = NULL"
                   " WHERE kind = $1 AND relation = $2 AND paused_at IS NOT NULL",
                   params_of(key))
               .affected() > 0;
}

void forget_dropped(pg::Spi &spi)
{
    pg::CatalogScope scope;
    for (const char *table : {"job_schedules", "job_states", "job_run_log"})
        spi.run(std::string("DELETE FROM privacy_scan.") + table +
                " t WHERE NOT EXISTS (SELECT FROM privacy_scan.job_definitions d"
                " WHERE d.kind = t.kind AND d.relation = t.relation)");
}

} // namespace privacy_scan::jobs
