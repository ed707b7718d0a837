// The adoptions under way and done: privacy_scan.adoption_states, one row a table.
#pragma once

#include "adopt/candidate.hpp"

namespace privacy_scan::adopt
{

struct Adoption {
    Oid relid = InvalidOid;    // the plain table; after the switch the first partition
    AttrNumber key_number = 0; // a rename of the column doesn't matter
    partition::Policy policy;  // its relid: the plain table
    std::int64_t cutover = 0;  // an instant: where the first partition ends
    Oid parent = InvalidOid;   // what has the name since the switch
    bool key_added = false;    // to the primary key, in the switch
    bool unique_id = false;    // the old primary key stays unique where the key is added
    bool is_done() const { return parent != InvalidOid; }
};

// Found by the plain table or, after the switch, by what has its name.
std::optional<Adoption> find_adoption(pg::Spi &spi, Oid relid);
Adoption require_adoption(pg::Spi &spi, Oid relid); // error 42704 where there is none

void insert_adoption(pg::Spi &spi, const Adoption &adoption); // forgets those of dropped tables, too
bool delete_adoption(pg::Spi &spi, Oid relid);
void store_cutover(pg::Spi &spi, Oid relid, std::int64_t cutover);
void store_switch(pg::Spi &spi, Oid relid, Oid parent, double lock_held_ms, int tries, bool key_added);
void store_error(pg::Spi &spi, Oid relid, const pg::ErrorText &error);

} // namespace privacy_scan::adopt
