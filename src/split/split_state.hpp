// The splits and merges under way and done: privacy_scan.split_states, split_sources and split_pieces. A
// split is one partition that becomes many, a merge is many that become one, and both are sources that become
// pieces: adjacent partitions of one set, and tables that tile the same stretch.
#pragma once

#include "partition/partition_plan.hpp"
#include "pg/spi.hpp"

namespace privacy_scan::split
{

// What is to be done next. In this order.
enum class Phase {
    wait_for_writers,
    copy,
    build_indexes,
    catch_up,
    wait_for_readers,
    switch_over,
    tidy,
    done
};
const char *to_string(Phase phase);

struct Origin {
    Oid relid;                  // a source; after the switch what was it
    partition::Cell bounds;     // on the axis of the key
    Oid file_node = InvalidOid; // another one: rewritten or truncated meanwhile
    std::int64_t blocks = 0;    // to copy
    std::int64_t copied_blocks = 0;
};

struct Piece {
    Oid relid;
    partition::Cell bounds;
    bool is_indexed;
};

struct State {
    Oid relid = InvalidOid; // of the first source: by it the whole is known
    Oid parent = InvalidOid;
    Oid changes = InvalidOid;    // keys of rows that changed, see capture.cpp
    std::uint64_t first_xid = 0; // of all transactions with this one or a later one the changes are captured
    std::uint64_t last_xid = 0;  // of the last transaction that copied
    std::int64_t copied_rows = 0;
    std::int64_t applied = 0; // changed keys
    std::string indexes;      // of the parent, as the pieces have them
    std::string waiting;      // for whom
    Phase phase = Phase::wait_for_writers;
    bool in_background = false;  // the set's job goes on with it
    bool drops_sources = false;  // once all is in place
    std::vector<Origin> sources; // ordered
    std::vector<Piece> pieces;   // ordered

    std::vector<Oid> relids() const;                      // of the sources
    bool is_split() const { return sources.size() == 1; } // in words: a split, else a merge
};

// By any of its sources.
std::optional<State> find_state(pg::Spi &spi, Oid relid);
State require_state(pg::Spi &spi, Oid relid); // error 42704 where there is none

void insert_state(pg::Spi &spi, const State &state); // forgets those done whose partitions are dropped
void delete_state(pg::Spi &spi, Oid relid);

// Writes down what has changed of the numbers, the phase, and which pieces have their indexes.
void store_state(pg::Spi &spi, const State &state);
void store_switch(pg::Spi &spi, Oid relid, double lock_held_ms, int tries);
void store_error(pg::Spi &spi, Oid relid, const pg::ErrorText &error);

} // namespace privacy_scan::split
