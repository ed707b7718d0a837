// Live rows that stand in the way of archived ones.
#pragma once

#include "retention/family_move.hpp"
#include "retention/family_sql.hpp"

namespace privacy_scan::retention
{

// Of the member's rows that belong to the picked roots: for each unique index of the live relation, other than partial ones and
// those of expressions, how many have their key in a live row, and the least five of these keys. A sentence for each index that has
// any. The caller acts as the owner.
std::string conflicts_in_words(pg::Spi &spi, const Member &live, const Member &stored, Oid archive,
                               const FamilySql &sql, const Picked &picked);

} // namespace privacy_scan::retention
