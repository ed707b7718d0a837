// One partition set at a time: creating ahead of the clock, closing what an outage left open, draining
// DEFAULT.
#pragma once

#include "partition/partition_drain.hpp"

namespace privacy_scan::partition
{

constexpr std::int64_t default_batch = 10000;

// A relation of the caller's, locked until the end of the transaction, to change its policy or its
// partitions: who does that takes turns with others who do. Errors: 42501, 42P01; 55P03 where the lock could
// not be had.
pg::OwnedTable lock_for_change(Oid relid, Actions &actions);

// The same for a managed relation, with its policy as it is under that lock. Errors also: those of
// key_column(), 42704 not managed.
PartitionSet managed_set(pg::Spi &spi, Oid relid, Actions &actions);

// A look at a managed relation, in a subtransaction that is rolled back: what the look locked is given back,
// for who then waits for his turn must not stand in the way of the one whose turn it is. Errors as
// managed_set().
bool look_at(pg::Spi &spi, Oid relid, Actions &actions,
             const std::function<bool(const PartitionSet &)> &look);

enum class OnFailure {
    raise,
    report // a part that fails is a row, and the other parts stand
};

// Creates what the policy wants at the instant (start: from there on, where that is earlier than what an
// outage left out) and drains one batch of DEFAULT. The caller holds SHARE UPDATE EXCLUSIVE on the relation.
//
// Tables are made first, then come the strong locks, the strongest first: nobody is ever kept waiting for
// DEFAULT by us while we wait for a lock on the parent that he holds.
void maintain(pg::Spi &spi, const PartitionSet &set, Instant at, std::optional<std::int64_t> start,
              OnFailure on_failure, Actions &actions);

// maintain() for a set that may have nothing to do, or be gone by now: no row then. Its failure is a row.
void maintain_one(pg::Spi &spi, Oid relid, Instant at, Actions &actions);

} // namespace privacy_scan::partition
