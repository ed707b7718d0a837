// See worker.hpp: the start of it all, and what SQL sees of it.
#include "pg/postgres.hpp"

#include "worker/worker.hpp"

#include "pg/clock.hpp"
#include "pg/entry.hpp"
#include "pg/rowset.hpp"
#include "settings/settings.hpp"
#include "worker/worker_state.hpp"

extern "C" {
#include <commands/dbcommands.h>
#include <postmaster/bgworker.h>
#include <utils/timestamp.h>
}

using namespace privacy_scan;

namespace privacy_scan::worker
{

namespace
{

constexpr int seconds_to_restart = 10;

// A launcher whose last tick is older than this is stuck.
constexpr int seconds_to_tick = 90;

State copy_of_state()
{
    const StateLock lock(LW_SHARED);
    return *state;
}

std::string name_of(Oid database)
{
    const char *name = pg::guarded([=] { return get_database_name(database); });
    return name ? name : "";
}

const char *to_string(Visit visit)
{
    return visit == Visit::starting ? "starting" : visit == Visit::running ? "running" : "idle";
}

const char *to_string(Verdict verdict)
{
    switch (verdict) {
    case Verdict::served:
        return "served";
    case Verdict::left_alone:
        return "pg_cron runs the jobs";
    case Verdict::no_extension:
        return "the extension is not there";
    case Verdict::other_version:
        return "the extension has another version than the library; run ALTER EXTENSION privacy_scan UPDATE";
    case Verdict::failed:
        return "the last visit ended with an error, which is in the server's log";
    case Verdict::unknown:
        break;
    }
    return "";
}

pg::Cell instant_or_null(TimestampTz instant)
{
    return instant == 0 ? pg::null_cell() : pg::cell_instant(instant);
}

pg::Cell pid_or_null(int pid)
{
    return pid == 0 ? pg::null_cell() : pg::Cell{Int32GetDatum(pid), false};
}

void put_launcher(pg::RowSink &sink, const State &now)
{
    const bool is_starved = now.starved_at != 0 && now.starved_at >= now.last_tick - USECS_PER_MINUTE;
    sink.put({pg::cell("launcher"), pid_or_null(now.launcher_pid), pg::null_cell(),
              pg::cell(now.launcher_pid == 0 ? "not running" : "running"), instant_or_null(now.launched_at),
              instant_or_null(now.last_tick), pg::null_cell(),
              pg::cell(is_starved ? "no worker slot was free; raise max_worker_processes" : "")});
}

void put_database(pg::RowSink &sink, const Database &database)
{
    sink.put({pg::cell("database"), pid_or_null(database.pid), pg::cell(name_of(database.oid)),
              pg::cell(to_string(database.visit)), instant_or_null(database.visited_at), pg::null_cell(),
              instant_or_null(database.next_visit), pg::cell(to_string(database.verdict))});
}

} // namespace

void start()
{
    if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
        return;
    request_memory();
    BackgroundWorker launcher{};
    launcher.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    launcher.bgw_start_time = BgWorkerStart_RecoveryFinished;
    launcher.bgw_restart_time = seconds_to_restart;
    strlcpy(launcher.bgw_library_name, "privacy_scan", BGW_MAXLEN);
    strlcpy(launcher.bgw_function_name, "ps_launcher_main", BGW_MAXLEN);
    strlcpy(launcher.bgw_name, "privacy_scan launcher", BGW_MAXLEN);
    strlcpy(launcher.bgw_type, "privacy_scan launcher", BGW_MAXLEN);
    RegisterBackgroundWorker(&launcher);
}

Condition condition()
{
    if (!state)
        return {
            "off", "the library is not preloaded, so that nothing runs the jobs by itself",
            "add privacy_scan to shared_preload_libraries and restart, or let a scheduler run every minute: "
            "CALL privacy_scan.run_due_jobs()"};
    const State now = copy_of_state();
    const std::string where = "SELECT * FROM privacy_scan.workers";
    if (now.launcher_pid == 0)
        return {"attention", "the launcher is not running",
                "the server's log says why; it starts again by itself"};
    if (TimestampDifferenceExceeds(now.last_tick, pg::now(), seconds_to_tick * 1000))
        return {"attention", "the launcher has not moved for more than a minute", where};
    if (now.starved_at != 0 && now.starved_at >= now.last_tick - USECS_PER_MINUTE)
        return {"attention", "no worker slot was free", "raise max_worker_processes"};
    const auto *end = std::end(now.databases);
    const auto *here = std::find_if(std::begin(now.databases), end,
                                    [](const Database &database) { return database.oid == MyDatabaseId; });
    if (here == end)
        return {"off", "the worker does not visit this database",
                "add it to privacy_scan.databases, and reload"};
    if (here->verdict == Verdict::failed || here->verdict == Verdict::other_version)
        return {"attention", to_string(here->verdict), where};
    return {"ok", "the worker visits this database", ""};
}

} // namespace privacy_scan::worker

// privacy_scan.list_workers(): the launcher, then each database that it visits. No row where the library is
// not preloaded. STABLE.
PS_FUNCTION(ps_list_workers)
{
    using namespace privacy_scan::worker;
    pg::RowSink sink(fcinfo);
    if (!state)
        return Datum(0);
    const State now = copy_of_state();
    put_launcher(sink, now);
    for (const Database &database : now.databases)
        if (OidIsValid(database.oid))
            put_database(sink, database);
    return Datum(0);
}
