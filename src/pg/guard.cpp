// See guard.hpp.
#include "pg/guard.hpp"

extern "C" {
#include <utils/memutils.h>
}

namespace privacy_scan::pg::detail
{

MemoryContext door_memory;

namespace
{

// A C++ exception that crosses leaves the memory context where its thrower had it.
void call(void (*body)(void *), void *closure, MemoryContext memory)
{
    try {
        body(closure);
    } catch (...) {
        MemoryContextSwitchTo(memory);
        throw;
    }
}

// Red. The error on top of PostgreSQL's stack, in a context of its own: FreeErrorData() forgets some of its
// texts, deleting the context doesn't.
ErrorData *take_error(MemoryContext parent)
{
    MemoryContextSwitchTo(AllocSetContextCreate(parent, "privacy_scan error", ALLOCSET_SMALL_SIZES));
    ErrorData *error = CopyErrorData();
    FlushErrorState();
    return error;
}

} // namespace

// A jump lands here at most twice: for the body's error, and for an error while copying it (out of memory).
ErrorData *run_guarded(void (*body)(void *), void *closure, bool *out_of_memory)
{
    ErrorState state;
    sigjmp_buf here;
    volatile bool copying = false;
    ErrorData *volatile error = nullptr;

    if (sigsetjmp(here, 0) == 0) {
        PG_exception_stack = &here;
        call(body, closure, state.memory());
        return nullptr;
    }
    // First of all: should the copying ereport in its turn, it must not call back into dead frames.
    state.forget_inner();
    MemoryContextSwitchTo(state.memory());
    if (copying) {
        FlushErrorState();
        *out_of_memory = true;
        return nullptr;
    }
    copying = true;
    error = take_error(state.error_memory());
    MemoryContextSwitchTo(state.memory());
    return error;
}

} // namespace privacy_scan::pg::detail
