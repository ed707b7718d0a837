// A relation's cache entry as a scope.
#pragma once

#include "pg/guard.hpp"

extern "C" {
#include <storage/lockdefs.h>
#include <utils/rel.h>
}

namespace privacy_scan::pg
{

// Before these no transaction and no multixact is in a table any more that vacuum still has to freeze.
struct FrozenHorizon {
    TransactionId xid;
    MultiXactId multi;
};

// Red. The second for a table of the caller's own making that is given versions older than itself.
FrozenHorizon frozen_horizon(Oid relid);
void set_frozen_horizon(Oid relid, FrozenHorizon horizon);

// An open relation. The lock stays until the end of the transaction; a user's table is locked before
// (lock_owned(), within lock_timeout) and opened here with the same mode, which then never waits.
class RelationScope
{
  public:
    // Error: 42P01 undefined_table.
    RelationScope(Oid relid, LOCKMODE lockmode);
    RelationScope(const RelationScope &) = delete;
    RelationScope &operator=(const RelationScope &) = delete;
    ~RelationScope();

    Relation get() const { return relation_; }

  private:
    Relation relation_;
    int in_flight_;
};

} // namespace privacy_scan::pg
