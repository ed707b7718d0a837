// See subxact.hpp.
#include "pg/subxact.hpp"

extern "C" {
#include <access/xact.h>
}

namespace privacy_scan::pg
{

Subtransaction::Subtransaction() : memory_(CurrentMemoryContext), resources_(CurrentResourceOwner)
{
    guarded([] { BeginInternalSubTransaction(nullptr); });
    MemoryContextSwitchTo(memory_);
    open_ = true;
}

void Subtransaction::leave()
{
    MemoryContextSwitchTo(memory_);
    CurrentResourceOwner = resources_;
    open_ = false;
}

void Subtransaction::commit()
{
    guarded([] { ReleaseCurrentSubTransaction(); });
    leave();
}

void Subtransaction::rollback()
{
    guarded([] { RollbackAndReleaseCurrentSubTransaction(); });
    leave();
}

// Where not even the rollback works, ending the session is the one state left that nothing can go wrong in.
Subtransaction::~Subtransaction()
{
    if (!open_)
        return;
    bool out_of_memory = false;
    auto body = [](void *) { RollbackAndReleaseCurrentSubTransaction(); };
    if (detail::run_guarded(body, nullptr, &out_of_memory) || out_of_memory)
        ereport(FATAL, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not roll back a subtransaction")));
    leave();
}

namespace
{

bool is_interrupt(int sqlstate)
{
    return sqlstate == ERRCODE_QUERY_CANCELED || sqlstate == ERRCODE_ADMIN_SHUTDOWN ||
           sqlstate == ERRCODE_CRASH_SHUTDOWN || sqlstate == ERRCODE_DATABASE_DROPPED;
}

} // namespace

namespace
{

enum class OnInterrupt { fly_on, come_back };

Attempt attempt(const std::function<void()> &body, OnInterrupt on_interrupt)
{
    Subtransaction scope;
    Attempt result;
    try {
        body();
    } catch (const PgError &error) {
        result.is_interrupted = is_interrupt(error.sqlstate());
        if (result.is_interrupted && on_interrupt == OnInterrupt::fly_on)
            throw;
        result.failure = text_of(error);
        error.discard();
    } catch (const Error &error) {
        result.failure = text_of(error);
    }
    if (result.failure)
        scope.rollback();
    else
        scope.commit();
    return result;
}

} // namespace

std::optional<ErrorText> try_in_subtransaction(const std::function<void()> &body)
{
    return attempt(body, OnInterrupt::fly_on).failure;
}

Attempt try_until_interrupted(const std::function<void()> &body)
{
    return attempt(body, OnInterrupt::come_back);
}

} // namespace privacy_scan::pg
