// A memory context of its own for a stretch of blue code.
#pragma once

#include "pg/guard.hpp"

extern "C" {
#include <utils/memutils.h>
}

namespace privacy_scan::pg
{

// Makes a child of the current context and makes it current; deletes it at the end of the scope. While an
// exception flies it only switches back: the error's data may lie in it, and the end of the transaction
// frees it.
class MemoryScope
{
  public:
    explicit MemoryScope(const char *name)
        : outer_(CurrentMemoryContext), in_flight_(std::uncaught_exceptions())
    {
        own_ = guarded([&] { return AllocSetContextCreateInternal(outer_, name, ALLOCSET_DEFAULT_SIZES); });
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
