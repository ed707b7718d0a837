// Making what is missing: tables made aside, then attached under locks that are asked for briefly.
#pragma once

#include "partition/blueprint.hpp"
#include "partition/partition_actions.hpp"

namespace privacy_scan::partition
{

// A table made aside, to be attached.
struct Made {
    Oid relid;
    std::string name;           // qualified, quoted
    std::optional<Cell> bounds; // empty: the DEFAULT partition
    double ms;
};

struct PartitionBatch {
    Blueprint blueprint;
    std::vector<Made> made;
};

enum class WithDefault { yes, no };

// Makes tables, unattached, for what the cells of the ranges leave uncovered, at most
// privacy_scan.partition_max_created, and for the DEFAULT partition where asked for, wanted and missing. A
// piece of which DEFAULT holds rows is left to draining. The caller holds SHARE UPDATE EXCLUSIVE on the
// parent, so that nobody else makes them too; writers go on.
PartitionBatch make_missing(pg::Spi &spi, const PartitionSet &set, const std::vector<Cell> &ranges,
                            WithDefault with_default);

// Attaches them, all at once, so that the strong locks (see lock_for_attach()) are held for that alone. Drops
// those that draining, or a row that came to DEFAULT meanwhile, has overtaken.
void attach_batch(pg::Spi &spi, const PartitionSet &set, const PartitionBatch &batch, int parent_mode,
                  Actions &actions);

// Drops them, where they could not be attached.
void drop_batch(pg::Spi &spi, const PartitionSet &set, const PartitionBatch &batch);

// Where the clock stands on the set's axis: the instant, or, for integer keys, the largest value that a
// partition other than DEFAULT holds (DEFAULT may hold outliers).
std::int64_t clock_of(pg::Spi &spi, const PartitionSet &set, const Layout &layout, Instant at);

// True where the relation has no block at all, so that nothing in it needs to be looked at. Cheap.
bool has_no_blocks(Oid relid);

// True where DEFAULT holds at least one row within the piece.
bool default_holds(pg::Spi &spi, const PartitionSet &set, Oid default_partition, const Cell &piece);

// Takes the locks for attaching, in tries: SHARE ROW EXCLUSIVE on the relations that foreign keys tie to it,
// then parent_mode on the parent, then ACCESS EXCLUSIVE on DEFAULT. check runs under them and may refuse a
// try with 55P03; prepare runs before them, in the same try, so that what it made is gone where that fails.
// Inside OwnerScope, whose lock_timeout holds. They stay until the end of the transaction. Error 55P03 where
// they could not be had.
void lock_for_attach(const PartitionSet &set, const Blueprint &blueprint, int parent_mode,
                     Oid default_partition, pg::LockWait &wait, const std::function<void()> &check = {},
                     const std::function<void()> &prepare = {});

} // namespace privacy_scan::partition
