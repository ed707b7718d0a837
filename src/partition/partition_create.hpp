// Making what is missing: tables made aside, then attached under locks that are asked for briefly.
#pragma once

#include "partition/blueprint.hpp"
#include "partition/partition_actions.hpp"

namespace privacy_scan::partition
{

// Creates partitions for what the cells from `from` to before `to` leave uncovered, at most
// privacy_scan.partition_max_created, and the DEFAULT partition where the policy wants one. A piece of which
// DEFAULT holds rows is left to draining. Everything for this set, or nothing. Returns the number created;
// raises the first error.
//
// Locks: SHARE UPDATE EXCLUSIVE on the parent (writers go on); for the attaching itself, at the end,
// SHARE ROW EXCLUSIVE on relations that foreign keys tie to it and ACCESS EXCLUSIVE on DEFAULT, in this order.
std::size_t create_missing(pg::Spi &spi, const PartitionSet &set, std::int64_t from, std::int64_t to,
                           Actions &actions);

// Where the clock stands on the set's axis: the instant, or, for integer keys, the largest value that a
// partition other than DEFAULT holds (DEFAULT may hold outliers).
std::int64_t clock_of(pg::Spi &spi, const PartitionSet &set, const Layout &layout, Instant at);

// True where the relation has no block at all, so that nothing in it needs to be looked at. Cheap.
bool has_no_blocks(Oid relid);

// True where DEFAULT holds at least one row within the piece.
bool default_holds(pg::Spi &spi, const PartitionSet &set, Oid default_partition, const Cell &piece);

// Takes the locks for attaching, in tries: SHARE ROW EXCLUSIVE on the relations that foreign keys tie to it, then
// parent_mode on the parent, then ACCESS EXCLUSIVE on DEFAULT. Inside OwnerScope, whose lock_timeout holds. They
// stay until the end of the transaction. Error 55P03 where they could not be had.
pg::LockWait lock_for_attach(const PartitionSet &set, const Blueprint &blueprint, int parent_mode,
                             Oid default_partition);

// Milliseconds since an instant.
double ms_since(std::int64_t begun);

} // namespace privacy_scan::partition
