// A visit to one database: runs the jobs that are due there, and ends. Nothing of it stays between two
// visits: no transaction, no snapshot, no lock, no connection.
#include "pg/postgres.hpp"

#include "jobs/job_runner.hpp"
#include "jobs/pg_cron.hpp"
#include "pg/clock.hpp"
#include "pg/entry.hpp"
#include "pg/memory.hpp"
#include "pg/process.hpp"
#include "worker/worker.hpp"
#include "worker/worker_state.hpp"

extern "C" {
#include <access/xact.h>
#include <commands/extension.h>
#include <pgstat.h>
#include <postmaster/bgworker.h>
#include <storage/ipc.h>
#include <storage/latch.h>
#include <tcop/pquery.h>
#include <utils/portal.h>
#include <utils/ps_status.h>
#include <utils/timestamp.h>

PGDLLEXPORT void ps_database_worker_main(Datum argument);
}

namespace privacy_scan::worker
{

namespace
{

int entry_of_visit;
Verdict verdict = Verdict::failed; // until it is known better

void on_exit(int, Datum entry)
{
    const StateLock lock(LW_EXCLUSIVE);
    Database &database = state->databases[DatumGetInt32(entry)];
    database.pid = 0;
    database.verdict = verdict;
    database.visit = Visit::ended;
}

// Red. False where the launcher has given this visit up.
bool report_start(int entry, Oid *oid)
{
    before_shmem_exit(on_exit, Int32GetDatum(entry));
    const StateLock lock(LW_EXCLUSIVE);
    Database &database = state->databases[entry];
    *oid = database.oid;
    database.pid = MyProcPid;
    const bool is_expected = database.visit == Visit::starting;
    database.visit = Visit::running;
    return is_expected;
}

Verdict extension_here(pg::Spi &spi)
{
    const pg::Rows rows =
        spi.run("SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'privacy_scan'");
    if (rows.empty())
        return Verdict::no_extension;
    if (rows.text(0, 1) != PS_VERSION)
        return Verdict::other_version;
    return jobs::runner_of_database(spi) == jobs::Runner::pg_cron ? Verdict::left_alone : Verdict::served;
}

void announce(const std::string &job)
{
    const std::string title = "privacy_scan: " + job;
    const char *text = title.c_str();
    pg::guarded([=] {
        pgstat_report_activity(STATE_RUNNING, text);
        set_ps_display(text);
    });
}

// Red, in a transaction. What commits on its way needs a portal around it, as a CALL has one: for its
// snapshots, and for memory that outlives its transactions. It stays until the process ends.
void open_portal()
{
    ActivePortal = CreatePortal("privacy_scan worker", true, true);
    ActivePortal->visible = false;
    ActivePortal->status = PORTAL_ACTIVE;
    PortalContext = ActivePortal->portalContext;
}

// One who cancels, or tells this process to end, makes no failure of the visit: the next one comes in time.
Verdict verdict_of_error(int sqlstate)
{
    return sqlstate == ERRCODE_QUERY_CANCELED ? Verdict::served : Verdict::failed;
}

void run_jobs(pg::Spi &spi)
{
    try {
        jobs::run_due(spi, pg::now(), announce);
        verdict = Verdict::served;
    } catch (const pg::Error &error) { // of a run
        verdict = verdict_of_error(error.sqlstate);
        throw;
    } catch (const pg::PgError &error) { // between runs
        verdict = verdict_of_error(error.sqlstate());
        throw;
    }
}

void look_and_run()
{
    pg::Spi spi(pg::Spi::Worker::yes);
    const Verdict found = extension_here(spi);
    if (found == Verdict::served)
        run_jobs(spi);
    else
        verdict = found;
    spi.commit();
}

// Blue, behind the door. Where the extension goes in the middle of it the visit ends without a word: the next
// one sees what is there then. The end of the process aborts what is open.
Datum visit(FunctionCallInfo)
{
    pg::guarded([] {
        StartTransactionCommand();
        open_portal();
    });
    try {
        look_and_run();
    } catch (const pg::ExtensionGone &) {
        verdict = Verdict::served;
        return Datum(0);
    }
    pg::guarded([] { CommitTransactionCommand(); });
    return Datum(0);
}

} // namespace

bool start_visit(int entry)
{
    BackgroundWorker worker{};
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    worker.bgw_main_arg = Int32GetDatum(entry);
    worker.bgw_notify_pid = MyProcPid;
    strlcpy(worker.bgw_library_name, "privacy_scan", BGW_MAXLEN);
    strlcpy(worker.bgw_function_name, "ps_database_worker_main", BGW_MAXLEN);
    strlcpy(worker.bgw_name, "privacy_scan worker", BGW_MAXLEN);
    strlcpy(worker.bgw_type, "privacy_scan worker", BGW_MAXLEN);
    BackgroundWorkerHandle *handle = nullptr;
    return RegisterDynamicBackgroundWorker(&worker, &handle);
}

} // namespace privacy_scan::worker

// An error ends it with 1, after a line in the log; the launcher comes back a minute later.
void ps_database_worker_main(Datum argument)
{
    using namespace privacy_scan;
    using namespace privacy_scan::worker;
    Oid database = InvalidOid;
    entry_of_visit = DatumGetInt32(argument);
    pg::begin_process();
    if (!report_start(entry_of_visit, &database))
        proc_exit(0);
    BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
    MemoryContextSwitchTo(TopMemoryContext);
    pgstat_report_activity(STATE_RUNNING, "privacy_scan: looking for due jobs");
    pg::enter(visit, nullptr);
    proc_exit(0);
}
