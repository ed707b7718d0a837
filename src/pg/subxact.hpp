// A subtransaction as a scope, so that one failing object does not take the others with it.
#pragma once

#include "pg/guard.hpp"

extern "C" {
#include <utils/resowner.h>
}

namespace privacy_scan::pg
{

// Begins in the constructor. commit() keeps the work; without it, rollback() undoes it. After a PgError from
// inside, rollback() is the one thing to do. Where an error flies past, the abort of the outer transaction
// ends it.
class Subtransaction
{
  public:
    Subtransaction();
    Subtransaction(const Subtransaction &) = delete;
    Subtransaction &operator=(const Subtransaction &) = delete;

    void commit();
    void rollback();

  private:
    MemoryContext memory_;
    ResourceOwner resources_;
};

// Runs the body in a subtransaction. Nothing on success; on an error of any kind all is rolled back and its
// text is returned. An interrupt (cancel, terminate) is never swallowed.
std::optional<ErrorText> try_in_subtransaction(const std::function<void()> &body);

} // namespace privacy_scan::pg
