// An active snapshot as a scope.
#pragma once

#include "pg/guard.hpp"

namespace privacy_scan::pg
{

// Takes a snapshot now and makes it active, for red code that reads tables itself (statements through SPI
// take their own). In READ COMMITTED it sees whatever was committed before, so take it after the locks.
class SnapshotScope
{
  public:
    SnapshotScope();
    SnapshotScope(const SnapshotScope &) = delete;
    SnapshotScope &operator=(const SnapshotScope &) = delete;
    ~SnapshotScope();

  private:
    int in_flight_;
};

// Waits until every snapshot that others held when it was called is gone. A transaction in READ COMMITTED
// holds one during its statements, in REPEATABLE READ and above from its first statement to its end. For what
// such a snapshot could not tell: a change of the catalog. Error: 55P03 lock_not_available after most_ms.
void wait_for_older_snapshots(int most_ms);

} // namespace privacy_scan::pg
