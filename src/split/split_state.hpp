// The splits under way and done: privacy_scan.split_states, one row a partition, and split_pieces.
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

struct Piece {
    Oid relid;
    partition::Cell bounds; // on the axis of the key
    bool is_indexed;
};

struct State {
    Oid relid = InvalidOid; // the partition; after the switch what was it
    Oid parent = InvalidOid;
    Oid changes = InvalidOid;    // keys of rows that changed, see capture.cpp
    Oid file_node = InvalidOid;  // another one: rewritten or truncated meanwhile
    std::uint64_t first_xid = 0; // of all transactions with this one or a later one the changes are captured
    std::uint64_t last_xid = 0;  // of the last transaction that copied
    std::int64_t blocks = 0;     // to copy
    std::int64_t copied_blocks = 0;
    std::int64_t copied_rows = 0;
    std::int64_t applied = 0; // changed keys
    std::string indexes;      // of the parent, as the pieces have them
    Phase phase = Phase::wait_for_writers;
    std::vector<Piece> pieces; // ordered
};

std::optional<State> find_state(pg::Spi &spi, Oid relid);
State require_state(pg::Spi &spi, Oid relid); // error 42704 where there is none

void insert_state(pg::Spi &spi, const State &state); // forgets those of dropped partitions, too
void delete_state(pg::Spi &spi, Oid relid);

// Writes down what has changed of the numbers, the phase, and which pieces have their indexes.
void store_state(pg::Spi &spi, const State &state);
void store_switch(pg::Spi &spi, Oid relid, double lock_held_ms, int tries);
void store_error(pg::Spi &spi, Oid relid, const pg::ErrorText &error);

} // namespace privacy_scan::split
