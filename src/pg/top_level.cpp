// See top_level.hpp. This is the side that asks; top_level_process.cpp is the one that does it.
#include "pg/top_level.hpp"

#include "pg/compat.hpp"
#include "pg/lock.hpp"
#include "pg/top_level_exchange.hpp"

extern "C" {
#include <access/xact.h>
#include <storage/ipc.h>
#include <storage/latch.h>
#include <utils/array.h>
#include <utils/builtins.h>
#include <utils/fmgrprotos.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::pg
{

namespace
{

// Red.
void require_no_snapshot()
{
    InvalidateCatalogSnapshot();
    if (ActiveSnapshotSet() || TransactionIdIsValid(compat::own_xmin()) ||
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

// Red. Null where no slot is free.
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
    return RegisterDynamicBackgroundWorker(&worker, &handle) ? handle : nullptr;
}

// What is known of the process.
struct Watch {
    static constexpr int most = 8;
    BackgroundWorkerHandle *handle;
    MemoryContext memory; // of a look
    int lock_timeout_ms;
    int blockers[most]; // the last that were seen
    int count;
    double waited_ms;
};

// Red. Notes who blocks the process now. Answering that leaves much behind in memory.
void look_for_blockers(Watch &watch, int pid, long since_ms)
{
    MemoryContext outer = MemoryContextSwitchTo(watch.memory);
    ArrayType *array = DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pid)));
    const int count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
    const auto *pids = reinterpret_cast<const int *>(ARR_DATA_PTR(array));
    if (count > 0) {
        watch.count = std::min(count, Watch::most);
        std::copy(pids, pids + watch.count, watch.blockers);
        watch.waited_ms += static_cast<double>(since_ms);
    }
    MemoryContextSwitchTo(outer);
    MemoryContextReset(watch.memory);
}

// Red. True where the process has ended.
bool has_ended(const Watch &watch, pid_t *pid)
{
    const BgwHandleStatus status = GetBackgroundWorkerPid(watch.handle, pid);
    if (status != BGWH_STARTED)
        *pid = 0;
    return status == BGWH_STOPPED || status == BGWH_POSTMASTER_DIED;
}

// Red. Its end wakes us, so that only the looks need a rhythm: each takes all locks of the lock table, so
// they get rarer, but no wait that runs into its timeout goes unseen.
void wait_for_end(Watch &watch)
{
    const long longest_nap = std::max(10, std::min(2000, watch.lock_timeout_ms / 4));
    long nap = std::min(50L, longest_nap);
    pid_t pid = 0;
    TimestampTz looked = GetCurrentTimestamp();
    while (!has_ended(watch, &pid)) {
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, nap, PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
        const TimestampTz now = GetCurrentTimestamp();
        const long since_ms = static_cast<long>((now - looked) / 1000);
        if (pid == 0 || since_ms < nap)
            continue;
        look_for_blockers(watch, pid, since_ms);
        looked = now;
        nap = std::min(nap + nap / 4 + 1, longest_nap);
    }
}

// Red. Where the wait ended with an error, or with this process: the statement is cancelled. A session that
// goes on does so only after the statement has let go of everything.
void end_process(int code, Datum argument)
{
    const auto *watch = reinterpret_cast<Watch *>(DatumGetPointer(argument));
    const bool goes_on = code == 0;
    constexpr long longest_nap = 1000;
    pid_t pid = 0;
    TerminateBackgroundWorker(watch->handle);
    while (goes_on && !ProcDiePending && !has_ended(*watch, &pid)) {
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, longest_nap,
                        PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
    }
}

// Red.
void wait_or_end(Watch &watch)
{
    watch.memory = AllocSetContextCreate(CurrentMemoryContext, "privacy_scan blockers", ALLOCSET_SMALL_SIZES);
    const Datum argument = PointerGetDatum(&watch);
    PG_ENSURE_ERROR_CLEANUP(end_process, argument);
    {
        wait_for_end(watch);
    }
    PG_END_ENSURE_ERROR_CLEANUP(end_process, argument);
    MemoryContextDelete(watch.memory);
}

std::string names_of(const Watch &watch)
{
    std::string text;
    for (int i = 0; i < watch.count; ++i)
        text += (text.empty() ? "pid " : ", pid ") + std::to_string(watch.blockers[i]);
    return text;
}

std::optional<Error> error_of(const Exchange &exchange, const std::string &blocked_by)
{
    if (exchange.end == End::done)
        return std::nullopt;
    if (exchange.end == End::unknown)
        return Error{ERRCODE_ADMIN_SHUTDOWN,
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
    watch.lock_timeout_ms = lock_timeout_ms;
    dsm_segment *segment = guarded([=] {
        require_no_snapshot();
        return make_segment(table, text, lock_timeout_ms);
    });
    watch.handle = guarded([=] { return start_process(segment); });
    if (!watch.handle) {
        guarded([=] { dsm_detach(segment); });
        fail(ERRCODE_INSUFFICIENT_RESOURCES, "no worker slot is free for a statement of its own", {},
             "Raise max_worker_processes, or try again later.");
    }
    guarded([&] { wait_or_end(watch); });
    add_lock_wait(watch.waited_ms);
    const TopLevelReport report{watch.waited_ms, names_of(watch)};
    const std::optional<Error> error =
        error_of(*static_cast<const Exchange *>(dsm_segment_address(segment)), report.blocked_by);
    guarded([=] { dsm_detach(segment); });
    if (error)
        throw *error;
    return report;
}

} // namespace privacy_scan::pg
