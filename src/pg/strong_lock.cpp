// See strong_lock.hpp. Red throughout. The callbacks run before PostgreSQL gives the locks back.
#include "pg/strong_lock.hpp"
#include "pg/clock.hpp"

extern "C" {
#include <access/xact.h>
#include <storage/lockdefs.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::pg
{

namespace
{

TimestampTz asked_at; // 0: no such lock
int nest_level;       // of the transaction that asked
double longest_ms;

void end_stretch()
{
    longest_ms = std::max(longest_ms, ms_since(asked_at));
    asked_at = 0;
}

void on_transaction(XactEvent event, void *)
{
    if (asked_at != 0 && (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT))
        end_stretch();
}

void on_subtransaction(SubXactEvent event, SubTransactionId, SubTransactionId, void *)
{
    const int level = GetCurrentTransactionNestLevel();
    if (asked_at == 0 || nest_level < level)
        return;
    if (event == SUBXACT_EVENT_ABORT_SUB)
        end_stretch();
    else if (event == SUBXACT_EVENT_COMMIT_SUB)
        nest_level = level - 1; // now the locks are its parent's
}

} // namespace

void note_lock(int lockmode)
{
    static bool is_registered;
    if (lockmode < ShareLock || asked_at != 0)
        return;
    if (!is_registered) {
        RegisterXactCallback(on_transaction, nullptr);
        RegisterSubXactCallback(on_subtransaction, nullptr);
        is_registered = true;
    }
    asked_at = GetCurrentTimestamp();
    nest_level = GetCurrentTransactionNestLevel();
}

void forget_strong_locks()
{
    longest_ms = 0;
}

double longest_strong_lock_ms()
{
    return longest_ms;
}

} // namespace privacy_scan::pg
