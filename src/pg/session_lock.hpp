// A lock on an object of ours that outlives the transaction, so that a procedure may commit under it.
#pragma once

#include "pg/guard.hpp"

namespace privacy_scan::pg
{

// An object of ours, as pg_locks shows it: locktype object, classid the table that describes it. No SQL
// statement locks an object under a user's table, so that nobody can keep us away by taking it.
struct ObjectTag {
    Oid classid;
    Oid objid;
    std::uint16_t objsubid;
};

// Tries once, without waiting, to lock the object until the end of the scope. While an exception flies it
// does nothing: the abort of the transaction gives session locks back, too, as does the end of the process.
class SessionLock
{
  public:
    explicit SessionLock(ObjectTag tag);
    SessionLock(const SessionLock &) = delete;
    SessionLock &operator=(const SessionLock &) = delete;
    ~SessionLock();

    bool is_held() const { return held_; }

  private:
    ObjectTag tag_;
    bool held_;
    int in_flight_;
};

} // namespace privacy_scan::pg
