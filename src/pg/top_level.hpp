// Statements that PostgreSQL refuses inside a transaction block, a function or a procedure: CREATE INDEX
// CONCURRENTLY, DROP INDEX CONCURRENTLY, DETACH PARTITION CONCURRENTLY, VACUUM. Each is run by a background
// worker of its own, which is there for this one statement and needs no preloaded library; so it works for a
// session's procedure and for the database worker alike.
#pragma once

#include "pg/owner.hpp"

namespace privacy_scan::pg
{

// The process of a statement that is under way, for who wants to show it.
struct TopLevelReport {
    std::string blocked_by; // the backends last seen in its way: "pid 4711, pid 4712"
    double waited_ms = 0;   // in which somebody was in its way, to the precision of the looks that were taken
};

// Runs one utility statement as the table's owner, with pinned settings, and waits for its end. sql: made of
// names quoted by ident.hpp and keywords of ours, never of a user's text.
//
// lock_timeout_ms: how long each of its waits for a lock or for an older transaction may take. Where others
// queue behind the lock (ACCESS EXCLUSIVE) that is privacy_scan.lock_timeout; where nobody who reads or
// writes does, privacy_scan.concurrent_lock_timeout.
//
// Call it directly after a commit, before any other statement: the statement may have to wait for every older
// snapshot, so that ours must not be one of them (refused with 25001). A cancel of the caller, or its
// deadline, cancels the statement and waits for its end. What it has committed on its way stays. Afterwards,
// nothing of its result is seen before a new snapshot is taken.
//
// Errors: those of the statement, 55P03 with who was in the way; 53000 no worker slot is free; 57P01 its
// process was ended.
TopLevelReport run_top_level(const OwnedTable &table, const std::string &sql, int lock_timeout_ms);

} // namespace privacy_scan::pg
