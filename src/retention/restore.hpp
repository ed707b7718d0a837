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
std::vector<ActionRow> restore_families(pg::Spi &spi, Oid root, const std::string &condition);

} // namespace privacy_scan::retention
