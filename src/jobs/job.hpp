// Jobs: one for each partition set, each retention policy and each set with splits to be done, one for the
// statistics of all of them, and two that look after all archives, with schedule and state. Which jobs there
// are follows from the policies; our own tables hold only what differs from a kind's default, and where a job
// stands.
#pragma once

#include "jobs/job_schedule.hpp"
#include "pg/session_lock.hpp"
#include "pg/spi.hpp"

extern "C" {
#include <utils/timestamp.h>
}

namespace privacy_scan::jobs
{

enum class Kind : std::uint16_t {
    partitions = 1,
    retention = 2,
    statistics = 3,
    verification = 4,
    drill = 5,
    splits = 6
};

struct JobKey {
    Kind kind;
    Oid relid;
};

struct Job {
    JobKey key;
    std::string name; // partitions shop."Evidence"
    Schedule schedule;
    std::string days; // as text; empty: all
    std::string time_zone;
    std::optional<Micros> timeout;
    bool is_paused = false;
    std::string pause_reason;
    std::optional<Instant> next_start;
    bool starts_at_once = false; // has never been started, and need not wait for its first slot
    bool is_requested = false;
    std::optional<std::int64_t> run; // the start mark: the run that is under way, or whose process died
    std::int32_t failures = 0;
    std::int32_t crashes = 0;
};

const char *to_string(Kind kind);

// Its kind and relation, as the first parameters of a statement on our tables.
std::vector<pg::Param> params_of(JobKey key);

pg::Param next_start_param(const Job &job);

// The job of that name, which the caller must own: the kind, a blank, the relation as regclass takes it. No
// lock. Errors: 22023 no such kind, 42704 no such job, 42501, and those of a relation's name.
JobKey job_of_caller(pg::Spi &spi, const std::string &name);

std::optional<Job> find_job(pg::Spi &spi, JobKey key);

// Jobs of the caller's that are worth a look at the instant: due, requested, misplaced, or with a start mark.
// Longest overdue first.
std::vector<JobKey> due_jobs(pg::Spi &spi, Instant at);
bool is_due(const Job &job, Instant at);

// Is the next start further off than its schedule can put it? The clock has been set back since.
bool is_misplaced(const Job &job, Instant at);

// What every runner takes before it looks at a job, so that no two run one.
pg::ObjectTag lock_of(JobKey key);

Instant next_start_of(const Job &job, Instant after);

// Schedules, pauses. The caller's rights have been checked.
void store_schedule(pg::Spi &spi, const Job &job);
void store_next_start(pg::Spi &spi, JobKey key, Instant next_start);
// The same by a runner, for a job as it read it: a next start that was set meanwhile, with another schedule,
// stays.
void put_off(pg::Spi &spi, const Job &job, Instant next_start);
bool pause(pg::Spi &spi, JobKey key, const std::string &reason); // false where it was paused
bool resume(pg::Spi &spi, JobKey key);                           // false where it wasn't

// Forgets schedules, states and history of jobs whose policies are gone.
void forget_dropped(pg::Spi &spi);

// Days as a schedule's bits, from text such as "mon, wed"; all where it is empty. Error 22023.
unsigned days_of(const std::string &text);

// With a month of 30 days; what is out of all reason is the largest number.
Micros micros_of(const Interval &interval);

} // namespace privacy_scan::jobs
