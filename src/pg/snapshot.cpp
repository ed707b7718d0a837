// See snapshot.hpp.
#include "pg/snapshot.hpp"

#include "pg/compat.hpp"

extern "C" {
#include <storage/latch.h>
#include <utils/snapmgr.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::pg
{

SnapshotScope::SnapshotScope() : in_flight_(std::uncaught_exceptions())
{
    guarded([] { PushActiveSnapshot(GetTransactionSnapshot()); });
}

SnapshotScope::~SnapshotScope()
{
    if (std::uncaught_exceptions() == in_flight_)
        PopActiveSnapshot();
}

namespace
{

// Red. Leaves those of the first list that are in the second, too.
int keep_common(VirtualTransactionId *list, int count, const VirtualTransactionId *other, int others)
{
    int kept = 0;
    for (int i = 0; i < count; ++i)
        for (int k = 0; k < others; ++k)
            if (VirtualTransactionIdEquals(list[i], other[k])) {
                list[kept++] = list[i];
                break;
            }
    return kept;
}

// Red.
void wait_a_moment()
{
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 1, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

} // namespace

void wait_for_older_snapshots(int most_ms)
{
    guarded([=] {
        const TimestampTz begun = GetCurrentTimestamp();
        int count = 0, now = 0;
        VirtualTransactionId *older = compat::holders_of_snapshots(&count);
        while (count > 0) {
            wait_a_moment();
            VirtualTransactionId *newer = compat::holders_of_snapshots(&now);
            count = keep_common(older, count, newer, now);
            pfree(newer);
            if (count > 0 && TimestampDifferenceExceeds(begun, GetCurrentTimestamp(), most_ms))
                ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
                                errmsg("older snapshots of other transactions are still in use")));
        }
        pfree(older);
    });
}

} // namespace privacy_scan::pg
