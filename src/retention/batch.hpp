// One batch: expired roots with their families, from the live relations into their archives, in one go.
#pragma once

#include "retention/family_move.hpp"

namespace privacy_scan::retention
{

// Moves up to about max_rows rows (at least one root's family; never more than max_rows otherwise, where
// strict), in a subtransaction of the caller's transaction, with a ledger row a relation.
//
// How nothing is lost: the roots are locked FOR UPDATE, which keeps new children out; rows that others refer
// to are locked likewise, from the root down; then each member's rows are moved, deepest first, by statements
// whose snapshots are younger than those locks; before a relation's parents go, none of its rows may belong
// to them any more, so that nothing is ever cascaded away; counts and digests of what was deleted and of what
// was inserted must agree. Roots that others are writing to are passed over. A family of which somebody holds
// a row longer than privacy_scan.lock_timeout is left for a later run.
//
// The family's relations are locked first, so that nobody changes their definition meanwhile.
//
// Errors: 25001 not READ COMMITTED; XX001 data_corrupted where counts or digests differ; 55000 where a row
// still refers to the batch; those of the archive.
Batch move_batch(pg::Spi &spi, Work &work, std::int64_t max_rows, bool strict);

} // namespace privacy_scan::retention
