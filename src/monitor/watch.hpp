// Which relations are watched, and what is stored about them.
#pragma once

#include "pg/owner.hpp"
#include "pg/spi.hpp"

namespace privacy_scan::monitor
{

struct Watched {
    Oid relid;
    Oid root; // of its family; InvalidOid where it has none
};

// What was entrusted to the extension and the current user owns: each relation once, roots first.
std::vector<Watched> watched_relations(pg::Spi &spi);

// One relation with the root of its family, also where it was not entrusted.
Watched watched_relation(pg::Spi &spi, Oid relid);

// Forgets relations that were dropped, with their samples.
void forget_dropped(pg::Spi &spi);

} // namespace privacy_scan::monitor
