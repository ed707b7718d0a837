// A subtransaction as a scope, so that one failing object does not take the others with it.
#pragma once

#include "pg/guard.hpp"

extern "C" {
#include <utils/resowner.h>
}

namespace privacy_scan::pg
{

// Begins in the constructor. commit() keeps the work; without it, the end of the scope or an earlier
// rollback() undoes it. Unlike other scopes this one acts while an exception flies: a handler further out (of
// a PL, of ours) rolls back the innermost subtransaction that is open, and that must be its own.
class Subtransaction
{
  public:
    Subtransaction();
    Subtransaction(const Subtransaction &) = delete;
    Subtransaction &operator=(const Subtransaction &) = delete;
    ~Subtransaction();

    void commit();
    void rollback();

  private:
    void leave();

    bool open_ = false;
    MemoryContext memory_;
    ResourceOwner resources_;
};

// Runs the body in a subtransaction. Nothing on success; on an error of any kind all is rolled back and its
// text is returned. An interrupt (cancel, terminate) is never swallowed, nor is a C++ exception that is no
// Error of ours: both fly on, with all rolled back.
std::optional<ErrorText> try_in_subtransaction(const std::function<void()> &body);

// The same, but an interrupt is returned like any other error, for who has something to write down first and
// then raises it.
struct Attempt {
    std::optional<ErrorText> failure;
    bool is_interrupted = false;
};
Attempt try_until_interrupted(const std::function<void()> &body);

} // namespace privacy_scan::pg
