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
}

void Subtransaction::commit()
{
    guarded([] { ReleaseCurrentSubTransaction(); });
    MemoryContextSwitchTo(memory_);
    CurrentResourceOwner = resources_;
}

void Subtransaction::rollback()
{
    guarded([] { RollbackAndReleaseCurrentSubTransaction(); });
    MemoryContextSwitchTo(memory_);
    CurrentResourceOwner = resources_;
}

namespace
{

bool is_interrupt(int sqlstate)
{
    return sqlstate == ERRCODE_QUERY_CANCELED || sqlstate == ERRCODE_ADMIN_SHUTDOWN ||
           sqlstate == ERRCODE_CRASH_SHUTDOWN || sqlstate == ERRCODE_DATABASE_DROPPED;
}

} // namespace

std::optional<ErrorText> try_in_subtransaction(const std::function<void()> &body)
{
    Subtransaction scope;
    std::optional<ErrorText> failure;
    try {
        body();
    } catch (const PgError &error) {
        if (is_interrupt(error.sqlstate()))
            throw;
        failure = text_of(error);
    } catch (const Error &error) {
        failure = text_of(error);
    }
    if (failure)
        scope.rollback();
    else
        scope.commit();
    return failure;
}

} // namespace privacy_scan::pg
