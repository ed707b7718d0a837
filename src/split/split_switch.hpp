// The moment in which the pieces take the place of their sources.
#pragma once

#include "pg/lock.hpp"
#include "split/split_source.hpp"
#include "split/split_state.hpp"

namespace privacy_scan::split
{

struct Switched {
    double lock_held_ms;
    std::int64_t applied; // changes, under the locks
    pg::LockWait wait;
};

// Under ACCESS EXCLUSIVE on the parent, the sources, DEFAULT and what foreign keys refer to, in tries: the
// last changes, the sources out, the pieces in. Errors: 55P03 a lock that could not be had; 55006 too many
// changes, or other indexes; 55000 see require_intact().
Switched switch_pieces(pg::Spi &spi, const Stretch &stretch, const State &state);

} // namespace privacy_scan::split
