// What the two sides of run_top_level() (top_level.hpp) tell each other: the statement goes one way, its
// error the other, in a segment of dynamic shared memory. Standard layout only.
#pragma once

#include "pg/postgres.hpp"

extern "C" {
#include <postmaster/bgworker.h>
#include <storage/dsm.h>
}

namespace privacy_scan::pg
{

constexpr std::size_t most_text = 1024;

enum class End : int { unknown, done, failed };

// In the segment.
struct Exchange {
    Oid relid;
    Oid owner;
    int lock_timeout_ms;
    End end;
    int sqlstate;
    char message[most_text];
    char detail[most_text];
    char hint[most_text];
    char sql[1]; // as long as it is
};

// In the process's registration.
struct Invitation {
    Oid database;
    dsm_handle segment;
};
static_assert(sizeof(Invitation) <= BGW_EXTRALEN);

} // namespace privacy_scan::pg
