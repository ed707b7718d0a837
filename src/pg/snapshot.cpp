// See snapshot.hpp.
#include "pg/snapshot.hpp"

extern "C" {
#include <utils/snapmgr.h>
}

namespace privacy_scan::pg
{

SnapshotScope::SnapshotScope() : in_flight_(std::uncaught_exceptions())
{
    guarded([] { PushActiveSnapshot(GetTransactionSnapshot()); });
}

SnapshotScope::~SnapshotScope()
{
    if (std::uncaught_exceptions() == in_flight_)
        PopActiveSnapshot();
}

} // namespace privacy_scan::pg
