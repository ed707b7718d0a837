// The inward door: C++ code that holds objects with destructors reaches PostgreSQL only through guarded().
// An ereport(ERROR) inside becomes a PgError outside, so that destructors run.
//
// Two colours. Red code may ereport and holds only trivially destructible locals; blue code may throw and
// hold anything. The body given to guarded() is red. Blue code that throws across it is tolerated (the
// state below is put back), but nothing inside may rely on that.
//
// Not inside HOLD_INTERRUPTS or with an LWLock held (an ereport resets the holdoff count), and not in an
// error context callback (catching the second error would drop the first).
#pragma once

#include "pg/error.hpp"

#include <csetjmp>

namespace privacy_scan::pg
{

namespace detail
{

// The memory context that was current at the innermost door (entry.hpp), null outside of all. It outlives
// every scope inside the door (SPI connections, subtransactions, memory scopes), therefore errors are kept in
// it while they fly.
extern MemoryContext door_memory;

// PostgreSQL's error state as it was, put back however the scope ends.
class ErrorState
{
  public:
    ErrorState() noexcept
        : exception_stack_(PG_exception_stack), context_stack_(error_context_stack),
          memory_(CurrentMemoryContext), door_memory_(door_memory)
    {
    }
    ErrorState(const ErrorState &) = delete;
    ErrorState &operator=(const ErrorState &) = delete;
    ~ErrorState()
    {
        PG_exception_stack = exception_stack_;
        forget_inner();
    }

    // What the frames that were jumped over have set.
    void forget_inner() const noexcept
    {
        error_context_stack = context_stack_;
        door_memory = door_memory_;
    }
    MemoryContext memory() const { return memory_; }
    MemoryContext error_memory() const { return door_memory_ ? door_memory_ : memory_; }

  private:
    sigjmp_buf *exception_stack_;
    ErrorContextCallback *context_stack_;
    MemoryContext memory_;
    MemoryContext door_memory_;
};

// Runs a body whose locals are all trivial, behind a jump target. Returns null, or the error's copy.
// out_of_memory is set where even the copy did not fit.
ErrorData *run_guarded(void (*body)(void *), void *closure, bool *out_of_memory);

} // namespace detail

// Runs red code from blue code. Throws PgError where the body ereports.
template <typename Body> auto guarded(Body &&body) -> std::invoke_result_t<Body &>
{
    using Result = std::invoke_result_t<Body &>;
    bool out_of_memory = false;
    ErrorData *error;
    if constexpr (std::is_void_v<Result>) {
        error = detail::run_guarded(
            [](void *closure) { (*static_cast<std::remove_reference_t<Body> *>(closure))(); },
            const_cast<void *>(static_cast<const void *>(&body)), &out_of_memory);
        if (error)
            throw PgError(error);
        if (out_of_memory)
            throw std::bad_alloc();
    } else {
        static_assert(std::is_trivially_destructible_v<Result>, "a guarded body returns plain values only");
        struct Closure {
            std::remove_reference_t<Body> *body;
            Result result;
        } closure{&body, Result{}};
        error = detail::run_guarded(
            [](void *raw) {
                auto *call = static_cast<Closure *>(raw);
                call->result = (*call->body)();
            },
            &closure, &out_of_memory);
        if (error)
            throw PgError(error);
        if (out_of_memory)
            throw std::bad_alloc();
        return closure.result;
    }
}

} // namespace privacy_scan::pg
