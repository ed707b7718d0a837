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

// Those of foreign keys to the set that the partitions belong to, by OID.
std::vector<Share> shares_in(pg::Spi &spi, const std::vector<Oid> &partitions);

// Red. What DETACH PARTITION does itself, but without its search through all rows of who refers to the set,
// under strong locks, for such as refer to the partition. The caller, who holds ACCESS EXCLUSIVE on both, has
// seen to that: either none does, or they will refer to another partition by the end of the transaction.
void drop_share(Oid constraint);

// Takes the foreign keys away that partitions have from their set, before they are detached: each would be
// given ones of its own, with a share and triggers for each partition that they refer to, which a table that
// nobody writes to any more has then to lose one by one. ACCESS EXCLUSIVE as above.
void drop_inherited_keys(pg::Spi &spi, const std::vector<Oid> &partitions);

// A foreign key that is declared on the set itself.
struct ForeignKey {
    Oid constraint;
    Oid referenced;
    std::string definition; // of what a foreign key is, and its name; to be compared
};
std::vector<ForeignKey> foreign_keys_of(pg::Spi &spi, Oid set);

// True where they are the same, and mean the same.
bool is_same(const std::vector<ForeignKey> &left, const std::vector<ForeignKey> &right);

// Gives it to a table that is to be attached to the set, as proven: the caller knows that it held for the
// same rows in the partition whose place the table takes. Made as ATTACH makes those of a partition, without
// triggers on what it refers to, so that nobody has to be locked out: whoever deletes there is kept from it
// by those of the set, once the table is attached, which must be in the same transaction, and after
// foreign_keys_of() has been asked under locks once more. The table is new, or locked against everybody.
void add_proven_key(Oid table, const ForeignKey &key);

} // namespace privacy_scan::partition
