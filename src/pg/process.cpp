// See process.hpp.
#include <cerrno>

#include "pg/process.hpp"

#include "pg/pinned.hpp"

extern "C" {
#include <libpq/pqsignal.h>
#include <miscadmin.h>
#include <postmaster/bgworker.h>
#include <storage/latch.h>
}

namespace privacy_scan::pg
{

namespace
{

void cancel_work(int)
{
    const int saved_errno = errno;
    QueryCancelPending = true;
    InterruptPending = true;
    SetLatch(MyLatch);
    errno = saved_errno;
}

} // namespace

void begin_process()
{
    pqsignal(SIGTERM, cancel_work);
    BackgroundWorkerUnblockSignals();
    pin_for_process();
}

} // namespace privacy_scan::pg
