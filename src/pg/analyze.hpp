// ANALYZE of a partitioned parent alone. Autovacuum never does it, and ANALYZE by name takes every partition
// along up to 17, however little of it changed.
#pragma once

#include "pg/spi.hpp"

namespace privacy_scan::pg
{

// Gathers the statistics of the relation itself, of a partitioned one over a sample of all its partitions.
// Call it with the rights of its owner, within OwnerScope: PostgreSQL looks at privileges and runs the
// expressions of indexes and statistics as the owner besides. False where the relation has no partitions: use
// ANALYZE. Error: 55P03 lock_not_available.
bool analyze_alone(Spi &spi, Oid relid);

} // namespace privacy_scan::pg
