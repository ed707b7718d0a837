// The new parent with its partitions, made beside the table and dressed like it, before any strong lock.
#pragma once

#include "adopt/adoption.hpp"

namespace privacy_scan::adopt
{

struct NewParent {
    Oid relid;
    std::string side_name;                 // qualified, until the switch
    std::string wide_name;                 // unquoted: what the old table is called from the switch on
    std::string wide_primary;              // unquoted: its primary key's name from the switch on
    std::vector<std::string> foreign_keys; // ADD CONSTRAINT ..: last, since they lock the others
    std::vector<Oid> referenced;           // by them
    int partitions = 0;
};

// Makes them in the caller's transaction, which holds SHARE UPDATE EXCLUSIVE on the table; its indexes give
// their names to the parent's. unique_id: the old primary key stays unique. Inside OwnerScope.
NewParent make_parent(pg::Spi &spi, const Candidate &candidate, const Scheme &scheme, std::int64_t cutover,
                      bool unique_id);

// What the table will be called.
std::string wide_name(const Candidate &candidate, const Scheme &scheme, std::int64_t cutover);

} // namespace privacy_scan::adopt
