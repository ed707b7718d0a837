// The switch: the plain table becomes the first partition of a new parent that takes its name.
#pragma once

#include "adopt/new_parent.hpp"
#include "pg/lock.hpp"

namespace privacy_scan::adopt
{

struct Switched {
    Oid parent;
    double lock_held_ms; // from having the strong lock until all was done; the commit comes on top
    pg::LockWait wait;
};

// All of it, in the caller's transaction, which has touched the table with nothing stronger than SHARE UPDATE
// EXCLUSIVE. Everything that can be is made before; then, in short tries, SHARE ROW EXCLUSIVE on what foreign
// keys refer to and ACCESS EXCLUSIVE on the table, in the order in which applications touch them. Under it is
// checked that nothing changed meanwhile, and in the end that all is in place: a table that lacks its index
// or its validated CHECK is never switched. Errors: 55000 not prepared, 55006 changed meanwhile, 55P03.
Switched switch_table(pg::Spi &spi, const Candidate &candidate, const Adoption &adoption,
                      const Scheme &scheme);

// What it comes to, for the plan.
std::string switch_in_words(const Candidate &candidate, const Scheme &scheme, std::int64_t cutover);

} // namespace privacy_scan::adopt
