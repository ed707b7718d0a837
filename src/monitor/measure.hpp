// What a relation holds and how much of it changed, from catalog and counters: no row of it is read.
#pragma once

#include "monitor/watch.hpp"

namespace privacy_scan::monitor
{

struct Measure {
    std::int64_t bytes;   // of all leaves, with indexes and TOAST
    std::int64_t rows;    // estimated
    std::vector<Oid> due; // partitioned relations of the tree whose statistics are out of date, topmost first
    std::optional<std::int64_t> changes; // of the relation since its last ANALYZE; none: not known
};

// Measures a relation and writes its counters down. Locks the tree with ACCESS SHARE within lock_timeout;
// runs of two sessions on one relation take turns. Error: 55P03.
Measure measure(pg::Spi &spi, const Watched &watched);

// Writes down that a partitioned relation was analysed just now.
void set_analyzed(pg::Spi &spi, Oid relid);

} // namespace privacy_scan::monitor
