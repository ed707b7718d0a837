// A memory context of its own for a stretch of blue code.
#pragma once

#include "pg/guard.hpp"

extern "C" {
#include <access/xact.h>
#include <utils/memutils.h>
}

namespace privacy_scan::pg
{

// Makes a context and makes it current; deletes it at the end of the scope. While an exception flies it only
// switches back, since what is to be aborted may still point into it. In a subtransaction the context belongs
// to that, whose rollback then frees it: a loop over many that fail holds no memory. Outside it belongs to
// the outer context, so that a procedure may commit meanwhile.
class MemoryScope
{
  public:
    explicit MemoryScope(const char *name)
        : outer_(CurrentMemoryContext), in_flight_(std::uncaught_exceptions())
    {
        MemoryContext parent = GetCurrentTransactionNestLevel() > 1 ? CurTransactionContext : outer_;
        own_ = guarded([=] { return AllocSetContextCreateInternal(parent, name, ALLOCSET_DEFAULT_SIZES); });
        MemoryContextSwitchTo(own_);
    }
    MemoryScope(const MemoryScope &) = delete;
    MemoryScope &operator=(const MemoryScope &) = delete;
    ~MemoryScope()
    {
        MemoryContextSwitchTo(outer_);
        if (std::uncaught_exceptions() == in_flight_)
            MemoryContextDelete(own_);
    }

  private:
    MemoryContext outer_;
    MemoryContext own_ = nullptr;
    int in_flight_;
};

} // namespace privacy_scan::pg
