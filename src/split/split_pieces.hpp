// The tables beside the partitions that these are to become.
#pragma once

#include "split/split_source.hpp"
#include "split/split_state.hpp"

namespace privacy_scan::split
{

// Of the trigger, and of the CHECK constraints that prove the bounds of the pieces.
constexpr const char *object_name = "privacy_scan_split";

// What holds for the rows of a partition with these bounds, in SQL.
std::string bound_check(const partition::PartitionSet &set, const partition::Cell &cell);

// Makes the pieces, the table that keeps the changes, and the trigger on each source; the latter under SHARE
// ROW EXCLUSIVE, in tries. From its commit on, every change is captured.
State prepare(pg::Spi &spi, const Stretch &stretch, const std::vector<partition::Cell> &cells);

// Errors 55000 where what it rests on is not there any more: a trigger, the columns, a file; or where the
// pieces are not what partitions of the parent must be any more; or where a source has got something that a
// partition of its own needs.
void require_intact(pg::Spi &spi, const State &state);

// Gives the columns of the pieces what ALTER COLUMN has given to the parent's since: DEFAULT, STORAGE,
// COMPRESSION, STATISTICS, no EXPRESSION any more. Nobody else knows the pieces yet.
void align_columns(pg::Spi &spi, const State &state);

// True where there is nothing to do for it.
bool are_aligned(pg::Spi &spi, const State &state);

// The parent's indexes as a text that is another one whenever they are.
std::string indexes_of(pg::Spi &spi, Oid parent);

// Builds the parent's indexes on pieces that haven't them, as many as half a second, or a tenth where a rate
// is to be kept, allows and one at least, analyses these and marks them. Returns the size of the indexes
// built.
std::int64_t index_pieces(pg::Spi &spi, const partition::PartitionSet &set, State &state);

// Drops, under short locks, the CHECK constraints that proved the bounds of the pieces, the triggers and the
// notes, and what the sources have become, where that was asked for.
void tidy(pg::Spi &spi, const State &state);

// Drops everything that prepare() made.
void drop_all(pg::Spi &spi, const State &state);

// Does so, or tidies up after the switch, for the caller's splits whose sources have been dropped, and
// forgets them. What cannot be done now stays, with its error.
void clear_orphans(pg::Spi &spi);

} // namespace privacy_scan::split
