// See top_level.hpp. The two processes talk through a segment of shared memory: the statement goes one way,
// its error the other. The process connects as the bootstrap superuser, since an owner need not be allowed to
// log in, and takes the owner's identity before the statement: not the security context that OwnerScope sets,
// because these statements commit on their way, and a context must not outlive a transaction. They set it
// themselves around whatever they run of the owner's code.
#include "pg/top_level.hpp"

#include <cerrno>

#include "pg/compat.hpp"
#include "pg/ident.hpp"
#include "pg/pinned.hpp"

extern "C" {
#include <access/xact.h>
#include <catalog/pg_authid.h>
#include <libpq/pqsignal.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <nodes/makefuncs.h>
#include <pgstat.h>
#include <postmaster/bgworker.h>
#include <storage/dsm.h>
#include <storage/ipc.h>
#include <storage/latch.h>
#include <tcop/pquery.h>
#include <tcop/tcopprot.h>
#include <utils/array.h>
#include <utils/builtins.h>
#include <utils/fmgrprotos.h>
#include <utils/memutils.h>
#include <utils/portal.h>
#include <utils/ps_status.h>
#include <utils/snapmgr.h>
#include <utils/syscache.h>
#include <utils/timestamp.h>

PGDLLEXPORT void ps_top_level_main(Datum argument);
}

namespace privacy_scan::pg
{

namespace
{

constexpr std::size_t most_text = 1024;

enum class End : int { unknown, done, failed };

// In the segment.
struct Exchange {
    Oid relid;
    Oid owner;
    int lock_timeout_ms;
    End end;
    int sqlstate;
    char message[most_text];
    char detail[most_text];
    char hint[most_text];
    char sql[1]; // as long as it is
};

// In the worker's registration.
struct Invitation {
    Oid database;
    dsm_handle segment;
};
static_assert(sizeof(Invitation) <= BGW_EXTRALEN);

// --- the process -----------------------------------------------------------------------------------------

// Told to end, it cancels the statement and reports that.
void handle_sigterm(int)
{
    const int saved_errno = errno;
    QueryCancelPending = true;
    InterruptPending = true;
    SetLatch(MyLatch);
    errno = saved_errno;
}

// Red.
Exchange *attach(const Invitation &invitation)
{
    StartTransactionCommand();
    dsm_segment *segment = dsm_attach(invitation.segment);
    if (!segment)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("the session that wanted a statement to be run is gone")));
    dsm_pin_mapping(segment);
    CommitTransactionCommand();
    return static_cast<Exchange *>(dsm_segment_address(segment));
}

// Red. What was checked by who asked for it may have changed before we came to our start.
void require_same_owner(const Exchange &exchange)
{
    if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(exchange.relid)) ||
        !compat::owns_relation(exchange.relid, exchange.owner))
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_TABLE),
                 errmsg("relation with OID %u was dropped or changed its owner meanwhile", exchange.relid)));
}

// Red. A portal around the statement, as a client's would have: for its snapshots, and for memory that
// outlives the transactions in it, the parse tree included.
void run_statement(const char *sql)
{
    Portal portal = CreatePortal("", true, true);
    portal->visible = false;
    MemoryContext outer = MemoryContextSwitchTo(portal->portalContext);
    auto *raw = linitial_node(RawStmt, compat::parse_sql(sql));
    PlannedStmt *statement = makeNode(PlannedStmt);
    statement->commandType = CMD_UTILITY;
    statement->canSetTag = true;
    statement->utilityStmt = raw->stmt;
    statement->stmt_location = raw->stmt_location;
    statement->stmt_len = raw->stmt_len;
    PortalDefineQuery(portal, nullptr, sql, CMDTAG_UNKNOWN, list_make1(statement), nullptr);
    MemoryContextSwitchTo(outer);
    PortalStart(portal, nullptr, 0, InvalidSnapshot);
    compat::run_portal_to_its_end(portal, None_Receiver);
    PortalDrop(portal, false);
}

// Red.
void work(const Exchange &exchange)
{
    char timeout[32];
    pg_snprintf(timeout, sizeof timeout, "%dms", exchange.lock_timeout_ms);
    StartTransactionCommand();
    require_same_owner(exchange);
    SetSessionAuthorization(exchange.owner, superuser_arg(exchange.owner));
    SetConfigOption("lock_timeout", timeout, PGC_SUSET, PGC_S_OVERRIDE);
    SetCurrentStatementStartTimestamp();
    pgstat_report_activity(STATE_RUNNING, exchange.sql);
    debug_query_string = exchange.sql;
    run_statement(exchange.sql);
    CommitTransactionCommand();
}

// Whole characters of the text, as many as fit.
void put(char (&to)[most_text], const char *text)
{
    const int size = pg_mbcliplen(text, static_cast<int>(strlen(text)), static_cast<int>(most_text) - 1);
    memcpy(to, text, size);
    to[size] = '\0';
}

void report(Exchange &exchange, const PgError &error)
{
    exchange.sqlstate = error.sqlstate();
    put(exchange.message, error.message());
    put(exchange.detail, error.detail());
    put(exchange.hint, error.hint());
    exchange.end = End::failed;
}

void report_out_of_memory(Exchange &exchange)
{
    exchange.sqlstate = ERRCODE_OUT_OF_MEMORY;
    put(exchange.message, "out of memory");
    exchange.end = End::failed;
}

// Blue.
void serve(const Invitation &invitation)
{
    Exchange *exchange = nullptr;
    try {
        exchange = guarded([=] { return attach(invitation); });
        guarded([=] { work(*exchange); });
        exchange->end = End::done;
    } catch (const PgError &error) {
        if (exchange)
            report(*exchange, error);
        guarded([] { AbortOutOfAnyTransaction(); });
    } catch (const std::bad_alloc &) {
        // What left this function would end the whole server. The end of the process rolls back.
        if (exchange)
            report_out_of_memory(*exchange);
    }
}

// --- who asks for it -------------------------------------------------------------------------------------

// Red.
void require_no_snapshot()
{
    InvalidateCatalogSnapshot();
    if (ActiveSnapshotSet() || TransactionIdIsValid(MyProc->xmin) ||
        TransactionIdIsValid(GetTopTransactionIdIfAny()))
        ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
                        errmsg("the statement would wait for the transaction that asked for it")));
}

// Red. Belongs to the (sub)transaction.
dsm_segment *make_segment(const OwnedTable &table, const char *sql, int lock_timeout_ms)
{
    dsm_segment *segment = dsm_create(sizeof(Exchange) + strlen(sql), 0);
    auto *exchange = static_cast<Exchange *>(dsm_segment_address(segment));
    *exchange = Exchange{};
    exchange->relid = table.relid;
    exchange->owner = table.owner;
    exchange->lock_timeout_ms = lock_timeout_ms;
    strcpy(exchange->sql, sql);
    return segment;
}

// Red.
BackgroundWorkerHandle *start_process(dsm_segment *segment)
{
    BackgroundWorker worker{};
    BackgroundWorkerHandle *handle = nullptr;
    const Invitation invitation{MyDatabaseId, dsm_segment_handle(segment)};
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    worker.bgw_notify_pid = MyProcPid;
    memcpy(worker.bgw_extra, &invitation, sizeof invitation);
    strlcpy(worker.bgw_library_name, "privacy_scan", BGW_MAXLEN);
    strlcpy(worker.bgw_function_name, "ps_top_level_main", BGW_MAXLEN);
    strlcpy(worker.bgw_name, "privacy_scan statement", BGW_MAXLEN);
    strlcpy(worker.bgw_type, "privacy_scan statement", BGW_MAXLEN);
    if (!RegisterDynamicBackgroundWorker(&worker, &handle))
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_RESOURCES), errmsg("no worker slot is free"),
                        errhint("Raise max_worker_processes, or try again later.")));
    return handle;
}

struct Watch {
    static constexpr int most = 8;
    BackgroundWorkerHandle *handle;
    int blockers[most];
    int count;
    double waited_ms;
};

// Red. Those who block the process now; the last that were seen are kept. Milliseconds until the next look.
long look_for_blockers(Watch &watch, int pid, long since_ms)
{
    constexpr long soon = 100;
    ArrayType *array = DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pid)));
    const int count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
    const auto *pids = reinterpret_cast<const int *>(ARR_DATA_PTR(array));
    if (count > 0) {
        watch.count = std::min(count, Watch::most);
        std::copy(pids, pids + watch.count, watch.blockers);
        watch.waited_ms += static_cast<double>(since_ms);
    }
    pfree(array);
    return soon;
}

// Red.
void wait_for_end(Watch &watch)
{
    pid_t pid = 0;
    long nap = 100;
    TimestampTz looked = GetCurrentTimestamp();
    for (BgwHandleStatus status; (status = GetBackgroundWorkerPid(watch.handle, &pid)) != BGWH_STOPPED;) {
        if (status == BGWH_POSTMASTER_DIED)
            ereport(FATAL, (errcode(ERRCODE_ADMIN_SHUTDOWN), errmsg("postmaster died")));
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, nap,
                        WAIT_EVENT_BGWORKER_SHUTDOWN);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
        const TimestampTz now = GetCurrentTimestamp();
        const long since = static_cast<long>((now - looked) / 1000);
        if (status == BGWH_STARTED && since >= 50) {
            nap = look_for_blockers(watch, pid, since);
            looked = now;
        }
    }
}

// An error or the end of this process: the statement is cancelled.
void end_process(int code, Datum argument)
{
    auto *watch = reinterpret_cast<Watch *>(DatumGetPointer(argument));
    TerminateBackgroundWorker(watch->handle);
    constexpr int most_looks = 500;
    pid_t pid = 0;
    // Where the session goes on: only after the statement has let go of everything.
    for (int look = 0; code == 0 && look < most_looks; ++look) {
        if (GetBackgroundWorkerPid(watch->handle, &pid) == BGWH_STOPPED)
            break;
        (void)WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10, WAIT_EVENT_BGWORKER_SHUTDOWN);
    }
}

// Red.
void run_process(dsm_segment *segment, Watch &watch)
{
    watch.handle = start_process(segment);
    const Datum argument = PointerGetDatum(&watch);
    PG_ENSURE_ERROR_CLEANUP(end_process, argument);
    {
        wait_for_end(watch);
    }
    PG_END_ENSURE_ERROR_CLEANUP(end_process, argument);
}

std::string names_of(const Watch &watch)
{
    std::string text;
    for (int i = 0; i < watch.count; ++i)
        text += (text.empty() ? "pid " : ", pid ") + std::to_string(watch.blockers[i]);
    return text;
}

Error error_of(const Exchange &exchange, const std::string &blocked_by)
{
    if (exchange.end == End::unknown)
        return {ERRCODE_ADMIN_SHUTDOWN,
                "the process of the statement ended before the statement did",
                {},
                "The server's log says why."};
    Error error{exchange.sqlstate, exchange.message, exchange.detail, exchange.hint};
    if (exchange.sqlstate == ERRCODE_LOCK_NOT_AVAILABLE && !blocked_by.empty())
        error.message += " (held by " + blocked_by + ")";
    return error;
}

} // namespace

TopLevelReport run_top_level(const OwnedTable &table, const std::string &sql, int lock_timeout_ms)
{
    const char *text = sql.c_str();
    Watch watch{};
    dsm_segment *segment = guarded([=] {
        require_no_snapshot();
        return make_segment(table, text, lock_timeout_ms);
    });
    guarded([&] { run_process(segment, watch); });
    const auto *exchange = static_cast<const Exchange *>(dsm_segment_address(segment));
    TopLevelReport result{names_of(watch), watch.waited_ms};
    if (exchange->end != End::done)
        throw error_of(*exchange, result.blocked_by);
    guarded([=] { dsm_detach(segment); });
    return result;
}

} // namespace privacy_scan::pg

// Ends with 0 whatever became of the statement: its error is the caller's to report.
void ps_top_level_main(Datum)
{
    using namespace privacy_scan::pg;
    Invitation invitation;
    memcpy(&invitation, MyBgworkerEntry->bgw_extra, sizeof invitation);
    pqsignal(SIGTERM, handle_sigterm);
    BackgroundWorkerUnblockSignals();
    pin_for_process();
    BackgroundWorkerInitializeConnectionByOid(invitation.database, InvalidOid, 0);
    MemoryContextSwitchTo(TopMemoryContext);
    serve(invitation);
    proc_exit(0);
}
