// The launcher: lists the databases, and starts a visit to each whose time has come. It reads the shared
// catalog pg_database alone, so that it keeps no database from being dropped, renamed or copied.
#include "pg/postgres.hpp"

#include "pg/clock.hpp"
#include "pg/guard.hpp"
#include "pg/memory.hpp"
#include "settings/settings.hpp"
#include "worker/worker.hpp"
#include "worker/worker_state.hpp"

extern "C" {
#include <access/heapam.h>
#include <access/table.h>
#include <access/tableam.h>
#include <access/xact.h>
#include <catalog/pg_database.h>
#include <pgstat.h>
#include <postmaster/bgworker.h>
#include <postmaster/interrupt.h>
#include <storage/ipc.h>
#include <storage/latch.h>
#include <utils/guc.h>
#include <utils/snapmgr.h>
#include <utils/timestamp.h>
#include <utils/varlena.h>

PGDLLEXPORT void ps_launcher_main(Datum argument);
}

namespace privacy_scan::worker
{

namespace
{

constexpr int seconds_after_failure = 60;
constexpr int naps_without_extension = 3;
constexpr int longest_nap = 5; // seconds; new databases and new settings are seen by then

// Red. Is the database named by privacy_scan.databases?
bool is_wanted(const char *name, List *wanted)
{
    ListCell *cell;
    foreach (cell, wanted) {
        const char *entry = static_cast<const char *>(lfirst(cell));
        if (strcmp(entry, "*") == 0 || strcmp(entry, name) == 0)
            return true;
    }
    return false;
}

// Red. The databases that may be connected to and are wanted, in a transaction of its own; at most `most`.
int list_databases(Oid *oids, int most)
{
    int count = 0;
    StartTransactionCommand();
    (void)GetTransactionSnapshot();
    List *wanted = NIL;
    if (!SplitIdentifierString(pstrdup(settings::databases()), ',', &wanted))
        wanted = NIL;
    Relation rel = table_open(DatabaseRelationId, AccessShareLock);
    TableScanDesc scan = table_beginscan_catalog(rel, 0, nullptr);
    for (HeapTuple tuple; count < most && (tuple = heap_getnext(scan, ForwardScanDirection)) != nullptr;) {
        auto *database = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
        constexpr int half_dropped = -2;
        if (database->datallowconn && !database->datistemplate && database->datconnlimit != half_dropped &&
            is_wanted(NameStr(database->datname), wanted))
            oids[count++] = database->oid;
    }
    table_endscan(scan);
    table_close(rel, AccessShareLock);
    CommitTransactionCommand();
    return count;
}

TimestampTz next_visit_after(Verdict verdict, TimestampTz now)
{
    const int nap = settings::worker_naptime_s();
    const int seconds = verdict == Verdict::served || verdict == Verdict::left_alone ? nap
                        : verdict == Verdict::no_extension ? naps_without_extension * nap
                                                           : std::max(seconds_after_failure, nap);
    return TimestampTzPlusMilliseconds(now, seconds * 1000L);
}

// Closes the books on visits that have ended, forgets databases that are gone, takes up those that are new.
void bring_up_to_date(const Oid *oids, int count, TimestampTz now)
{
    const StateLock lock(LW_EXCLUSIVE);
    for (Database &database : state->databases) {
        if (database.visit == Visit::ended) {
            database.visit = Visit::none;
            database.next_visit = next_visit_after(database.verdict, now);
        }
        const bool is_listed = std::find(oids, oids + count, database.oid) != oids + count;
        if (!is_listed && database.visit == Visit::none)
            database = Database{};
    }
    for (int i = 0; i < count; ++i) {
        auto *end = std::end(state->databases);
        auto has_oid = [=](const Database &database) { return database.oid == oids[i]; };
        if (std::find_if(state->databases, end, has_oid) != end)
            continue;
        auto *free = std::find_if(state->databases, end,
                                  [](const Database &database) { return !OidIsValid(database.oid); });
        if (free != end)
            *free = Database{oids[i], Visit::none, Verdict::unknown, 0, 0, now};
    }
}

// Nothing is put off for longer than this: what seems to be was written before the clock went back.
bool is_due(const Database &database, TimestampTz now)
{
    const int longest = std::max(seconds_after_failure, naps_without_extension * settings::worker_naptime_s());
    return OidIsValid(database.oid) && database.visit == Visit::none &&
           (database.next_visit <= now ||
            TimestampDifferenceExceeds(now, database.next_visit, 2 * longest * 1000));
}

// The entry whose visit is longest overdue, marked as starting; -1 where there is none or enough are under
// way.
int take_next(TimestampTz now)
{
    const StateLock lock(LW_EXCLUSIVE);
    int next = -1, busy = 0;
    for (int i = 0; i < most_databases; ++i) {
        const Database &database = state->databases[i];
        busy += database.visit == Visit::starting || database.visit == Visit::running;
        if (is_due(database, now) &&
            (next < 0 || database.next_visit < state->databases[next].next_visit))
            next = i;
    }
    if (next < 0 || busy >= settings::worker_max())
        return -1;
    state->databases[next].visit = Visit::starting;
    state->databases[next].visited_at = now;
    return next;
}

void give_back(int entry, TimestampTz now)
{
    const StateLock lock(LW_EXCLUSIVE);
    state->starved_at = now;
    state->databases[entry].visit = Visit::none;
}

// A visit that does not come to its start within this was lost on its way. So was one that is to start so much
// later than now: the clock went back since.
constexpr int ms_to_start = 60 * 1000;

bool is_lost(const Database &database, TimestampTz now)
{
    return database.visit == Visit::starting &&
           (TimestampDifferenceExceeds(database.visited_at, now, ms_to_start) ||
            TimestampDifferenceExceeds(now, database.visited_at, ms_to_start));
}

void forget_lost(TimestampTz now)
{
    const StateLock lock(LW_EXCLUSIVE);
    for (Database &database : state->databases)
        if (is_lost(database, now)) {
            database.visit = Visit::ended;
            database.verdict = Verdict::failed;
        }
}

void tick()
{
    const TimestampTz now = pg::now();
    Oid oids[most_databases];
    const int count = pg::guarded([&] { return list_databases(oids, most_databases); });
    forget_lost(now);
    bring_up_to_date(oids, count, now);
    for (int entry; (entry = take_next(now)) >= 0;)
        if (!pg::guarded([=] { return start_visit(entry); })) {
            give_back(entry, now);
            break;
        }
    const TimestampTz ticked = pg::now();
    const StateLock lock(LW_EXCLUSIVE);
    state->last_tick = ticked;
}

// A tick that fails is a line in the log, and the next comes a minute later.
bool try_tick()
{
    try {
        tick();
        return true;
    } catch (const pg::PgError &error) {
        const char *message = error.message();
        pg::guarded([=] { ereport(LOG, (errmsg("privacy_scan launcher: %s", message))); });
        pg::guarded([] { AbortOutOfAnyTransaction(); });
        error.discard();
    } catch (...) {
    }
    return false;
}

void on_exit(int, Datum)
{
    state->launcher_pid = 0;
}

// Red.
void begin()
{
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
    BackgroundWorkerUnblockSignals();
    BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
    before_shmem_exit(on_exit, 0);
    pgstat_report_activity(STATE_IDLE, nullptr);
    LWLockAcquire(state->lock, LW_EXCLUSIVE);
    state->launcher_pid = MyProcPid;
    state->launched_at = GetCurrentTimestamp();
    state->last_tick = pg::now();
    LWLockRelease(state->lock);
}

// Red. Until there is something to do.
void nap(long seconds)
{
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, seconds * 1000,
                    PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
    if (ConfigReloadPending) {
        ConfigReloadPending = false;
        ProcessConfigFile(PGC_SIGHUP);
    }
}

} // namespace

} // namespace privacy_scan::worker

// Ends with 1 whenever it is told to, so that the server starts it again unless it is shutting down itself.
void ps_launcher_main(Datum)
{
    using namespace privacy_scan::worker;
    begin();
    MemoryContextSwitchTo(TopMemoryContext);
    while (!ShutdownRequestPending)
        nap(try_tick() ? std::min(privacy_scan::settings::worker_naptime_s(), longest_nap)
                       : seconds_after_failure);
    proc_exit(1);
}
