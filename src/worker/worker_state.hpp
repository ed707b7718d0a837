// What launcher and workers know of each other, in shared memory. Standard layout, fixed size, no pointers;
// under one LWLock that is held for a few instructions. Red throughout.
#pragma once

#include "jobs/progress.hpp"

extern "C" {
#include <datatype/timestamp.h>
#include <storage/lwlock.h>
}

namespace privacy_scan::worker
{

constexpr int most_databases = 256;

enum class Visit : int { none, starting, running, ended };
enum class Verdict : int { unknown, served, left_alone, no_extension, other_version, failed };

// A database as the launcher sees it.
struct Database {
    Oid oid; // InvalidOid: free
    Visit visit;
    Verdict verdict; // of the last visit that has ended
    int pid;
    TimestampTz visited_at; // start of the last visit
    TimestampTz next_visit;
};

struct State {
    LWLock *lock;
    int launcher_pid;
    TimestampTz launched_at;
    TimestampTz last_tick;
    TimestampTz starved_at; // no worker slot was free; 0: never
    Database databases[most_databases];
    jobs::ProgressBoard progress; // under a lock of its own
};

// Null where the library was not preloaded.
extern State *state;

// From _PG_init, where the library is being preloaded: asks for the memory.
void request_memory();

class StateLock
{
  public:
    explicit StateLock(LWLockMode mode) { LWLockAcquire(state->lock, mode); }
    StateLock(const StateLock &) = delete;
    StateLock &operator=(const StateLock &) = delete;
    ~StateLock() { LWLockRelease(state->lock); }
};

} // namespace privacy_scan::worker
