// Foreign keys to a partition set, in their shares of one partition, and of a set, for a table that becomes a
// partition of it.
#pragma once

#include "pg/owner.hpp"
#include "pg/spi.hpp"

namespace privacy_scan::partition
{

// A foreign key's share in one partition: the constraint by which PostgreSQL keeps another relation's rows
// that refer to rows there.
struct Share {
    Oid constraint;
    pg::OwnedTable referring;
};

// Those of foreign keys to the set that the partition belongs to, by OID.
std::vector<Share> shares_in(pg::Spi &spi, Oid partition);

// Red. What DETACH PARTITION does itself, but without its search through all rows of who refers to the set,
// under strong locks, for such as refer to the partition. The caller, who holds ACCESS EXCLUSIVE on both, has
// seen to that: either none does, or they will refer to another partition by the end of the transaction.
void drop_share(Oid constraint);

// Takes the foreign keys away that a partition has from its set, before it is detached: it would be given
// ones of its own, with a share and triggers for each partition that they refer to, which a table that nobody
// writes to any more has then to lose one by one. ACCESS EXCLUSIVE as above.
void drop_inherited_keys(pg::Spi &spi, Oid partition);

// A foreign key that is declared on the set itself.
struct ForeignKey {
    std::string name, definition;
    Oid referenced;
};
std::vector<ForeignKey> foreign_keys_of(pg::Spi &spi, Oid set);

// Gives it to a table that is to be attached, as proven: the caller knows that it held for the same rows in
// the partition whose place the table takes.
void add_proven_key(pg::Spi &spi, Oid table, const ForeignKey &key);

} // namespace privacy_scan::partition
