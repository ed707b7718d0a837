// The tables beside a partition that it is split into.
#pragma once

#include "split/split_source.hpp"
#include "split/split_state.hpp"

namespace privacy_scan::split
{

// Makes the pieces, the table that keeps the changes, and the trigger on the partition; the latter under
// SHARE ROW EXCLUSIVE, in tries. From its commit on, every change is captured.
State prepare(pg::Spi &spi, const Source &source, const std::vector<partition::Cell> &cells);

// Errors 55000 where what the split rests on is not there any more: the trigger, the columns, the file.
void require_intact(pg::Spi &spi, const Source &source, const State &state);

// The parent's indexes as a text that is another one whenever they are.
std::string indexes_of(pg::Spi &spi, Oid parent);

// Builds the parent's indexes on pieces that haven't them, as many as half a second allows and one at least,
// analyses these and marks them.
void index_pieces(pg::Spi &spi, const Source &source, State &state);

// Drops the CHECK constraints that proved the bounds of the pieces, under short locks, and the notes.
void tidy(pg::Spi &spi, const Source &source, const State &state);

// Drops everything that prepare() made.
void drop_all(pg::Spi &spi, Oid owner, const State &state);

} // namespace privacy_scan::split
