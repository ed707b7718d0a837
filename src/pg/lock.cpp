// See lock.hpp.
#include "pg/lock.hpp"

#include "pg/compat.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <storage/latch.h>
#include <storage/lmgr.h>
#include <storage/lock.h>
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

// Red. The process IDs of those who hold any lock on the relation that ACCESS EXCLUSIVE would wait for.
int holders_of(Oid relid, int *pids, int most)
{
    LOCKTAG tag;
    int count = 0;
    int found = 0;
    SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
    VirtualTransactionId *holders = GetLockConflicts(&tag, AccessExclusiveLock, &count);
    for (int i = 0; i < count && found < most; ++i) {
        PGPROC *proc = compat::process_of(holders[i]);
        if (proc && proc->pid != MyProcPid)
            pids[found++] = proc->pid;
    }
    return found;
}

std::string describe_holders(const std::vector<Oid> &relids)
{
    constexpr int most = 8;
    std::vector<int> pids;
    for (Oid relid : relids) {
        int found[most];
        int count = guarded([&] { return holders_of(relid, found, most); });
        pids.insert(pids.end(), found, found + count);
    }
    std::sort(pids.begin(), pids.end());
    pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
    std::string text;
    for (int pid : pids)
        text += (text.empty() ? "pid " : ", pid ") + std::to_string(pid);
    return text;
}

} // namespace

std::optional<ErrorText> try_with_locks(const std::vector<Oid> &relids, LockWait &wait,
                                        const std::function<void()> &body)
{
    for (int attempt = 1;; ++attempt) {
        const TimestampTz begun = GetCurrentTimestamp();
        ++wait.tries;
        std::optional<ErrorText> failure = try_in_subtransaction(body);
        if (!failure || !is_lock_failure(*failure))
            return failure;
        // Who has let go since the try failed isn't seen any more; then those of the try before are named.
        const std::string holders = describe_holders(relids);
        if (!holders.empty())
            wait.blocked_by = holders;
        if (attempt < settings::lock_attempts())
            guarded([] { give_way(settings::lock_timeout_ms()); });
        wait.waited_ms += static_cast<double>(GetCurrentTimestamp() - begun) / 1000.0;
        if (attempt >= settings::lock_attempts()) {
            if (!wait.blocked_by.empty()) {
                failure->message += " (held by " + wait.blocked_by + ")";
                failure->error.message += " (held by " + wait.blocked_by + ")";
            }
            return failure;
        }
    }
}

} // namespace privacy_scan::pg
