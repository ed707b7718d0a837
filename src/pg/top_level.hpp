// Statements that PostgreSQL refuses inside a transaction block, a function or a procedure: CREATE INDEX
// CONCURRENTLY, DROP INDEX CONCURRENTLY, VACUUM and the like. Each is run by a background worker of its own,
// which is there for this one statement and needs no preloaded library; so it works for a session's procedure
// and for a job of the worker alike.
#pragma once

#include "pg/owner.hpp"

namespace privacy_scan::pg
{

// A statement that has come to its end.
struct TopLevelReport {
    double waited_ms = 0;   // with somebody in its way, to the precision of the looks that were taken
    std::string blocked_by; // those who were last seen in its way: "pid 4711, pid 4712"
};

// Runs one utility statement as the table's owner, with pinned settings, and waits for its end. sql: made of
// names quoted by ident.hpp and keywords of ours, never of a user's text.
//
// lock_timeout_ms: how long each of its waits for a lock or for an older transaction may take: where others
// queue behind the lock, privacy_scan.lock_timeout; where nobody who reads or writes does,
// privacy_scan.concurrent_lock_timeout.
//
// Call it directly after a commit, before any other statement, but for the begin of a subtransaction: the
// statement may have to wait for every older snapshot, so that ours must not be one of them. A cancel of the
// caller, or its deadline, cancels the statement and waits for its end; a second one doesn't hurry it, the
// end of the caller's process does. What the statement has committed on its way stays. Afterwards, nothing of
// its result is seen before a new snapshot is taken.
//
// Errors, thrown as an Error after which the transaction may go on: those of the statement, 55P03 with who
// was in the way; 53000 where no worker slot is free; 57P01 where its process was ended. As a PgError: 25001
// where a snapshot is held, 57014 where the caller was cancelled.
TopLevelReport run_top_level(const OwnedTable &table, const std::string &sql, int lock_timeout_ms);

} // namespace privacy_scan::pg
