// See deadline.hpp.
#include "pg/deadline.hpp"

#include <csignal>

extern "C" {
#include <storage/latch.h>
#include <utils/timeout.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::pg
{

namespace
{

bool is_registered;
TimeoutId timeout_id;
volatile std::sig_atomic_t expired;

// Red, in a signal handler.
void cancel_work()
{
    expired = 1;
    QueryCancelPending = true;
    InterruptPending = true;
    SetLatch(MyLatch);
}

} // namespace

Deadline::Deadline(std::int64_t milliseconds)
    : ends_at_(milliseconds > 0 ? GetCurrentTimestamp() + milliseconds * 1000 : 0)
{
    expired = 0;
    if (is_registered)
        return;
    timeout_id = guarded([] { return RegisterTimeout(USER_TIMEOUT, cancel_work); });
    is_registered = true;
}

void Deadline::arm()
{
    if (ends_at_ == 0)
        return;
    const TimestampTz ends_at = ends_at_;
    guarded([=] { enable_timeout_at(timeout_id, ends_at); });
}

void Deadline::disarm() noexcept
{
    if (ends_at_ == 0)
        return;
    disable_timeout(timeout_id, false);
    if (expired)
        QueryCancelPending = false;
}

bool Deadline::has_expired() const
{
    return expired != 0;
}

} // namespace privacy_scan::pg
