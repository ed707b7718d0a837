// health(): what is active and what to do next, for the operator who sees this database for the first time
// and for the one who is woken at night. Reads the public views, so each reader is told of what is theirs.
#include "pg/postgres.hpp"

#include "jobs/pg_cron.hpp"
#include "pg/entry.hpp"
#include "pg/guc.hpp"
#include "pg/ident.hpp"
#include "pg/rowset.hpp"
#include "pg/spi.hpp"
#include "worker/worker.hpp"

extern "C" {
#include <access/xlog.h>
}

namespace
{

using namespace privacy_scan;

struct Finding {
    std::string component, status, detail, next_step;
};

Finding version(pg::Spi &spi)
{
    pg::Rows rows = spi.run("SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'privacy_scan'");
    const std::string sql = rows.empty() ? "none" : rows.text(0, 1);
    const bool same = sql == PS_VERSION;
    return {"version", same ? "ok" : "mismatch", "library " PS_VERSION ", SQL " + sql,
            same ? "" : "ALTER EXTENSION privacy_scan UPDATE; then reconnect"};
}

Finding server()
{
    if (pg::guarded([] { return RecoveryInProgress(); }))
        return {"server", "standby", "PostgreSQL " PG_VERSION ", read only",
                "call what writes on the primary"};
    return {"server", "ok", "PostgreSQL " PG_VERSION ", primary", ""};
}

Finding partition_sets(pg::Spi &spi)
{
    pg::Rows rows = spi.run("SELECT count(*), coalesce(sum(default_rows), 0)::bigint, min(days_ahead)"
                            " FROM privacy_scan.partition_sets");
    const std::int64_t sets = rows.int8(0, 1), strays = rows.int8(0, 2);
    const std::int64_t unkept =
        spi.run("SELECT count(*) FROM privacy_scan.unique_checks WHERE state <> 'kept'").int8(0, 1);
    if (unkept > 0)
        return {"partition sets", "attention",
                std::to_string(sets) + " managed, " + std::to_string(unkept) +
                    " unique checks that don't hold everywhere",
                "SELECT * FROM privacy_scan.unique_checks WHERE state <> 'kept'"};
    if (sets == 0)
        return {"partition sets", "none", "no relation of yours is managed",
                "SELECT * FROM privacy_scan.manage_partitions('\"Evidence\"', 'createdAt', '1 month')"};
    std::string detail = std::to_string(sets) + " managed";
    const bool temporal = !rows.is_null(0, 3);
    const double days = temporal ? rows.float8(0, 3) : 1;
    if (temporal)
        detail += ", covered " + std::to_string(static_cast<long>(days)) + " days ahead at least";
    detail += ", " + std::to_string(strays) + " rows in DEFAULT";
    if (days < 0 || strays > 0)
        return {"partition sets", "attention", detail, "SELECT * FROM privacy_scan.maintain_partitions()"};
    return {"partition sets", "ok", detail, ""};
}

Finding adoptions(pg::Spi &spi)
{
    pg::Rows rows = spi.run("SELECT count(*) FILTER (WHERE state <> 'adopted'), count(*),"
                            " min(cutover) FILTER (WHERE state = 'preparing') < now() + interval '12 hours',"
                            " count(last_error), min(relation::text) FILTER (WHERE state <> 'adopted')"
                            " FROM privacy_scan.adoptions");
    const std::int64_t open = rows.int8(0, 1), all = rows.int8(0, 2);
    if (all == 0)
        return {"adoptions", "none", "no table of yours became a partition set here",
                "SELECT * FROM privacy_scan.plan_adoption('\"Evidence\"')"};
    const std::string detail = std::to_string(all - open) + " done, " + std::to_string(open) + " under way";
    if (open == 0)
        return {"adoptions", "ok", detail, ""};
    // What was prepared refuses rows from its bound on.
    const bool is_late = rows.boolean(0, 3) || rows.int8(0, 4) > 0;
    return {"adoptions", is_late ? "attention" : "ok", detail,
            "CALL privacy_scan.run_adoption(" + pg::quote_text(rows.text(0, 5)) + ")"};
}

Finding retention(pg::Spi &spi)
{
    pg::Rows rows =
        spi.run("SELECT (SELECT count(*) FROM privacy_scan.retention_policies), count(*),"
                " coalesce(sum(rows), 0)::bigint, to_char(max(archived_at), 'YYYY-MM-DD HH24:MI TZ'),"
                " count(*) FILTER (WHERE state NOT IN ('ok', 'unproven')), (SELECT count(*) FROM privacy_scan.archive_files),"
                " (SELECT count(*) FROM privacy_scan.archive_files WHERE confirmed_at IS NULL),"
                " (SELECT count(*) FROM (SELECT DISTINCT ON (archive, leaf) state"
                "   FROM privacy_scan.archive_drills ORDER BY archive, leaf, id DESC) d"
                "  WHERE state NOT IN ('ok', 'changing')), count(*) FILTER (WHERE rows IS NULL)"
                " FROM privacy_scan.archives");
    const std::int64_t policies = rows.int8(0, 1), batches = rows.int8(0, 2);
    if (policies == 0 && batches == 0)
        return {"retention", "none", "no relation of yours has a policy",
                "SELECT privacy_scan.set_retention('\"Scan\"', '365 days', 'createdAt')"};
    std::string detail =
        std::to_string(policies) + " policies, " + std::to_string(rows.int8(0, 3)) + " rows archived";
    if (batches > 0)
        detail += ", last at " + rows.text(0, 4);
    if (rows.int8(0, 6) > 0)
        detail += ", " + std::to_string(rows.int8(0, 6)) + " files, " + std::to_string(rows.int8(0, 7)) +
                  " of them not confirmed";
    if (rows.int8(0, 9) > 0)
        detail += ", " + std::to_string(rows.int8(0, 9)) + " partitions not counted yet";
    if (rows.int8(0, 5) > 0)
        return {"retention", "attention", detail + "; archives are not as the ledger says",
                "SELECT * FROM privacy_scan.check_archives()"};
    if (rows.int8(0, 8) > 0)
        return {"retention", "attention", detail + "; restore drills failed",
                "SELECT * FROM privacy_scan.archive_drills WHERE state <> 'ok' ORDER BY id DESC"};
    return {"retention", "ok", detail, ""};
}

Finding jobs_of_reader(pg::Spi &spi)
{
    pg::Rows rows = spi.run("SELECT count(*), count(*) FILTER (WHERE state = 'paused'),"
                            " count(*) FILTER (WHERE state = 'failing'),"
                            " count(*) FILTER (WHERE next_start < now() - interval '15 minutes'"
                            " AND state IN ('due', 'failing')),"
                            " to_char(max(last_start), 'YYYY-MM-DD HH24:MI TZ') FROM privacy_scan.jobs");
    const std::int64_t all = rows.int8(0, 1), paused = rows.int8(0, 2), failing = rows.int8(0, 3),
                       overdue = rows.int8(0, 4);
    if (all == 0)
        return {"jobs", "none",
                "a job comes with each partition set and retention policy, and one for their statistics", ""};
    const std::string detail = std::to_string(all) + " jobs, " + std::to_string(failing) + " failing, " +
                               std::to_string(paused) + " paused, " + std::to_string(overdue) + " overdue" +
                               (rows.is_null(0, 5) ? "" : ", last start at " + rows.text(0, 5));
    if (paused + failing + overdue > 0)
        return {"jobs", "attention", detail, "SELECT * FROM privacy_scan.jobs WHERE state <> 'idle'"};
    return {"jobs", "ok", detail, ""};
}

Finding statistics(pg::Spi &spi)
{
    pg::Rows rows = spi.run("SELECT EXISTS (SELECT FROM privacy_scan.partition_sets"
                            "  WHERE relation <> 'privacy_scan.metric_samples'::regclass)"
                            " OR EXISTS (SELECT FROM privacy_scan.retention_policies),"
                            " count(DISTINCT relation), to_char(max(sampled_at), 'YYYY-MM-DD HH24:MI TZ')"
                            " FROM privacy_scan.relation_samples WHERE sampled_at > now() - interval '2 days'"
                            " AND relation <> 'privacy_scan.metric_samples'::regclass");
    if (!rows.boolean(0, 1))
        return {"statistics", "none",
                "collected of partition sets, families with a policy and their archives", ""};
    if (rows.int8(0, 2) == 0)
        return {"statistics", "attention", "no relation of yours was sampled in the last two days",
                "CALL privacy_scan.run_statistics()"};
    return {"statistics", "ok",
            std::to_string(rows.int8(0, 2)) + " relations sampled, last at " + rows.text(0, 3), ""};
}

Finding pg_cron(pg::Spi &spi)
{
    if (jobs::cron_job_here(spi) == jobs::CronJob::missing)
        return {"schedule", "attention", "pg_cron is to run the jobs, and has no entry for this database",
                "SELECT privacy_scan.use_pg_cron(), or SELECT privacy_scan.use_worker()"};
    return {"schedule", "ok", "pg_cron runs the jobs, from the database " + jobs::pg_cron_database(), ""};
}

// Who runs the jobs: the worker, or, where it isn't active, pg_cron or somebody else.
Finding schedule(pg::Spi &spi)
{
    if (jobs::runner_of_database(spi) == jobs::Runner::pg_cron)
        return pg_cron(spi);
    const worker::Condition worker = worker::condition();
    if (worker.status == "ok" || worker.status == "attention")
        return {"schedule", worker.status, worker.detail, worker.next_step};
    const bool pg_cron = !spi.run("SELECT FROM pg_catalog.pg_extension WHERE extname = 'pg_cron'").empty();
    if (!pg_cron)
        return {"schedule", "manual", worker.detail, worker.next_step};
    return {"schedule", "pg_cron", worker.detail + "; pg_cron is installed in this database",
            "SELECT privacy_scan.use_pg_cron()"};
}

} // namespace

// privacy_scan.health(): one row a component: status, detail, next step (NULL where none is needed). STABLE.
// Reads only; needs no shared_preload_libraries and no privilege, and tells of the reader's own relations.
PS_FUNCTION(ps_health)
{
    using pg::cell;
    pg::RowSink sink(fcinfo);
    pg::CatalogPath path; // whoever calls it: nobody else's functions count here
    pg::Spi spi;
    for (const Finding &finding : {version(spi), server(), partition_sets(spi), adoptions(spi),
                                   retention(spi), statistics(spi), jobs_of_reader(spi), schedule(spi)})
        sink.put(
            {cell(finding.component), cell(finding.status), cell(finding.detail), cell(finding.next_step)});
    return Datum(0);
}
