// See session_lock.hpp.
#include "pg/session_lock.hpp"

extern "C" {
#include <storage/lock.h>
}

namespace privacy_scan::pg
{

namespace
{

LOCKTAG lock_tag(ObjectTag tag)
{
    LOCKTAG lock{};
    SET_LOCKTAG_OBJECT(lock, MyDatabaseId, tag.classid, tag.objid, tag.objsubid);
    return lock;
}

} // namespace

SessionLock::SessionLock(ObjectTag tag) : tag_(tag), held_(false), in_flight_(std::uncaught_exceptions())
{
    held_ = guarded([=] {
        const LOCKTAG lock = lock_tag(tag);
        const LockAcquireResult result = LockAcquire(&lock, ExclusiveLock, true, true);
        // A session may take its own lock again: a procedure within a procedure would run a job twice.
        if (result == LOCKACQUIRE_ALREADY_HELD)
            LockRelease(&lock, ExclusiveLock, true);
        return result == LOCKACQUIRE_OK;
    });
}

SessionLock::~SessionLock()
{
    if (!held_ || std::uncaught_exceptions() != in_flight_)
        return;
    const LOCKTAG lock = lock_tag(tag_);
    LockRelease(&lock, ExclusiveLock, true);
}

} // namespace privacy_scan::pg
