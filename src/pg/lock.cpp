// See lock.hpp.
#include "pg/lock.hpp"

#include "pg/clock.hpp"
#include "pg/compat.hpp"
#include "pg/ident.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <storage/latch.h>
#include <storage/lmgr.h>
#include <storage/lock.h>
#include <storage/predicate_internals.h>
#include <access/table.h>
#include <utils/relcache.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::pg
{

namespace
{

bool is_lock_failure(const ErrorText &error)
{
    return error.sqlstate == "55P03" || error.sqlstate == "40P01";
}

// Red. Sleeps a random time up to most_ms, interruptible.
void give_way(int most_ms)
{
    long ms = 1 + static_cast<long>(static_cast<double>(most_ms) * compat::random_fraction());
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

// Red. The process IDs of those who hold any lock on the relation that this mode would wait for.
int holders_of(Oid relid, int lockmode, int *pids, int most)
{
    LOCKTAG tag;
    int count = 0;
    int found = 0;
    SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
    VirtualTransactionId *holders = GetLockConflicts(&tag, lockmode, &count);
    for (int i = 0; i < count && found < most; ++i) {
        PGPROC *proc = compat::process_of(holders[i]);
        if (proc && proc->pid != MyProcPid)
            pids[found++] = proc->pid;
    }
    return found;
}

std::string describe_holders(const std::vector<Oid> &relids, int lockmode)
{
    constexpr int most = 8;
    std::vector<int> pids;
    for (Oid relid : relids) {
        int found[most];
        int count = guarded([&] { return holders_of(relid, lockmode, found, most); });
        pids.insert(pids.end(), found, found + count);
    }
    std::sort(pids.begin(), pids.end());
    pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
    std::string text;
    for (int pid : pids)
        text += (text.empty() ? "pid " : ", pid ") + std::to_string(pid);
    return text;
}

void add_holders(ErrorText &failure, const std::string &holders)
{
    failure.message += " (held by " + holders + ")";
    failure.error.message += " (held by " + holders + ")";
}

double waited_ms;

} // namespace

void forget_lock_waits()
{
    waited_ms = 0;
}

void add_lock_wait(double ms)
{
    waited_ms += ms;
}

double lock_waits_ms()
{
    return waited_ms;
}

LockTimer::LockTimer() : begun_(GetCurrentTimestamp()) {}

LockTimer::~LockTimer()
{
    add_lock_wait(ms_since(begun_));
}

void name_holders(ErrorText &failure, const std::vector<Oid> &relids, int lockmode)
{
    if (failure.sqlstate != "55P03" || failure.message.find("(held by ") != std::string::npos)
        return;
    const std::string holders = describe_holders(relids, lockmode);
    if (!holders.empty())
        add_holders(failure, holders);
}

std::optional<ErrorText> try_with_locks(const std::vector<Oid> &relids, LockWait &wait,
                                        const std::function<void()> &body)
{
    for (int attempt = 1;; ++attempt) {
        const TimestampTz begun = GetCurrentTimestamp();
        const double before = waited_ms;
        ++wait.tries;
        std::optional<ErrorText> failure = try_in_subtransaction(body);
        if (!failure || !is_lock_failure(*failure))
            return failure;
        // Who has let go since the try failed isn't seen any more; then those of the try before are named.
        const std::string holders = describe_holders(relids, AccessExclusiveLock);
        if (!holders.empty())
            wait.blocked_by = holders;
        if (attempt < settings::lock_attempts())
            guarded([] { give_way(settings::lock_timeout_ms()); });
        wait.waited_ms += ms_since(begun);
        waited_ms = before + ms_since(begun); // with what was waited within
        if (attempt >= settings::lock_attempts()) {
            if (!wait.blocked_by.empty())
                add_holders(*failure, wait.blocked_by);
            return failure;
        }
    }
}

namespace
{

constexpr int brief_wait_ms = 50;
constexpr int few_tries = 8;
constexpr int many_times = 6;
constexpr int most_tries = 1000; // that the setting allows

void set_tries(GucScope &settings, int tries)
{
    settings.set("privacy_scan.lock_attempts", std::to_string(tries).c_str());
}

} // namespace

void ask_briefly(GucScope &settings)
{
    const int wait = std::min(settings::lock_timeout_ms(), brief_wait_ms);
    settings.set("privacy_scan.lock_timeout", (std::to_string(wait) + "ms").c_str());
    set_tries(settings, std::min(settings::lock_attempts(), few_tries));
}

void ask_patiently(GucScope &settings)
{
    set_lock_timeout(settings, std::min(settings::lock_timeout_ms(), brief_wait_ms));
    set_tries(settings, std::min(most_tries, settings::lock_attempts() * many_times));
}

void run_in_tries(Spi &spi, Oid relid, const std::string &sql)
{
    LockWait wait;
    auto failure = try_with_locks({relid}, wait, [&] { spi.run(sql); });
    if (failure)
        raise(*failure);
}

void lock_in_tries(const OwnedTable &table, int lockmode, LockWait &wait)
{
    auto failure = try_with_locks({table.relid}, wait, [&] { lock_owned(table, lockmode); });
    if (failure)
        raise(*failure);
}

namespace
{

// Red. The table and its indexes.
List *table_and_indexes(Oid table)
{
    Relation rel = table_open(table, NoLock);
    List *relids = lcons_oid(table, RelationGetIndexList(rel));
    table_close(rel, NoLock);
    return relids;
}

bool is_own_transaction(const SERIALIZABLEXACT &xact)
{
    return xact.pid == MyProcPid && (xact.flags & SXACT_FLAG_COMMITTED) == 0;
}

// Red.
bool has_serializable_readers(Oid table)
{
    List *relids = table_and_indexes(table);
    PredicateLockData *locks = GetPredicateLockStatusData();
    for (int i = 0; i < locks->nelements; ++i)
        if (GET_PREDICATELOCKTARGETTAG_DB(locks->locktags[i]) == MyDatabaseId &&
            list_member_oid(relids, GET_PREDICATELOCKTARGETTAG_RELATION(locks->locktags[i])) &&
            !is_own_transaction(locks->xacts[i]))
            return true;
    return false;
}

} // namespace

void require_no_serializable_readers(Oid table)
{
    if (guarded([=] { return has_serializable_readers(table); }))
        fail(ERRCODE_LOCK_NOT_AVAILABLE,
             "serializable transactions still depend on what they read in relation \"" +
                 relation_name(table) + "\"");
}

} // namespace privacy_scan::pg
