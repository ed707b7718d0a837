// See guard.hpp.
#include "pg/guard.hpp"

namespace privacy_scan::pg::detail
{

// A jump lands here at most twice: for the body's error, and for an error while copying it (out of memory).
ErrorData *run_guarded(void (*body)(void *), void *closure, bool *out_of_memory)
{
    ErrorState state;
    sigjmp_buf here;
    volatile bool copying = false;
    ErrorData *volatile copy = nullptr;

    if (sigsetjmp(here, 0) == 0) {
        PG_exception_stack = &here;
        body(closure);
        return nullptr;
    }
    MemoryContextSwitchTo(state.memory());
    if (copying) {
        FlushErrorState();
        *out_of_memory = true;
        return nullptr;
    }
    copying = true;
    copy = CopyErrorData();
    FlushErrorState();
    return copy;
}

} // namespace privacy_scan::pg::detail
