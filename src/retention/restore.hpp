// The way back: archived families return to the live relations they came from.
#pragma once

#include "retention/retention_plan.hpp"

namespace privacy_scan::retention
{

// Moves the archived families whose roots meet a condition (compiled, over the alias t) back: rows are
// inserted parents first, then removed from the archives deepest first; what was inserted must have the
// digests of what was removed. Enters it in the ledger, in the caller's transaction. One row a relation,
// parents first. The root has a policy, and the caller owns it. Errors: 42501, 55P03 rows that somebody else
// holds; 55000 where live relations don't take a row as it was archived; 23505 where a row is there already,
// and what else the live relations' constraints say.
// A partition that went whole, and all of whose rows come back, comes back as it is (leaf_return.hpp).
std::vector<ActionRow> restore_families(pg::Spi &spi, Oid root, const std::string &condition);

// Copies the archived rows of one relation of these families into a table that the caller owns, columns by
// name; the archives stay as they are. leaf: only those of that table; empty: of all. Errors: as above; 55000 where the
// table does not take a row as it was archived.
ActionRow copy_families(pg::Spi &spi, Oid root, Oid relation, const std::string &leaf,
                        const std::string &condition, const pg::OwnedTable &into);

// Copies all rows of an archive's table, which must be what the ledger says. Errors: XX001, and as above.
ActionRow copy_table(pg::Spi &spi, const std::string &target, const std::string &leaf,
                     const pg::OwnedTable &into);

} // namespace privacy_scan::retention
