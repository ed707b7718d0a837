// Constraints that PostgreSQL takes for validated without a look at the rows, because the caller knows that they hold.
#pragma once

#include "pg/spi.hpp"

namespace privacy_scan::partition
{

// Red. Of a CHECK or a foreign key that is NOT VALID yet.
void mark_proven(Oid relid, const char *name);

// PostgreSQL looks through DEFAULT for rows of each partition that comes in, unless a CHECK says that there are none. While
// the caller holds ACCESS EXCLUSIVE on DEFAULT, and knows that none of its rows fits the bounds (a condition on the columns,
// as of a partition's): that CHECK, for the moment.
void prove_default(pg::Spi &spi, Oid default_partition, const std::string &bounds);
void end_proof(pg::Spi &spi, Oid default_partition);

} // namespace privacy_scan::partition
