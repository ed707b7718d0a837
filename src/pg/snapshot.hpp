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

} // namespace privacy_scan::pg
