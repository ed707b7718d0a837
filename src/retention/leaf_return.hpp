// Partitions of an archive that come back as they are: they went whole, and all of their rows come back.
#pragma once

#include "retention/family_move.hpp"
#include "retention/row_shape.hpp"

namespace privacy_scan::retention
{

struct ReturnedLeaf {
    Oid relid;
    std::string leaf; // as it was called in the archive
    RowTotal total;
};

// Of a member that no other refers to and that isn't the root, whose parents' rows are back: each partition of its archive of which
// every row belongs to the picked roots becomes one of the live relation again, with its bounds, without
// copying. `stored`: the member as it lies in the archive. Where the live relation has no room for it (another
// partition, rows in DEFAULT, other columns or constraints), or columns that are kept unique, it is left to be moved by the row. The caller acts as the owner.
// Locks, in tries: ACCESS EXCLUSIVE on the partition and on DEFAULT, SHARE UPDATE EXCLUSIVE on the live relation,
// SHARE ROW EXCLUSIVE on what its foreign keys refer to. Errors: XX001 a partition that is not as the ledger says, 55P03.
std::vector<ReturnedLeaf> return_leaves(pg::Spi &spi, const Member &live, const Member &stored,
                                        const ArchiveTable &archive, const FamilySql &sql,
                                        const Picked &picked);

} // namespace privacy_scan::retention
