// Strong locks in short tries: a try that cannot have its locks within lock_timeout is rolled back, gives way
// for a moment and is made again. Nobody ever waits behind us for longer than one timeout.
#pragma once

#include "pg/owner.hpp"
#include "pg/spi.hpp"
#include "pg/subxact.hpp"

namespace privacy_scan::pg
{

struct LockWait {
    int tries = 0;
    double waited_ms = 0;   // spent in tries that gave up, and between them
    std::string blocked_by; // the backends last seen in the way: "pid 4711, pid 4712"
};

// Runs the body in a subtransaction, again after lock_not_available and deadlock_detected, up to
// privacy_scan.lock_attempts times. Nothing on success; otherwise the error of the last try. relids: the
// relations whose locks the body takes, for the report on who was in the way.
std::optional<ErrorText> try_with_locks(const std::vector<Oid> &relids, LockWait &wait,
                                        const std::function<void()> &body);

// What this process waited since forget_lock_waits(): in tries that were in vain and between them, for locks that it
// had or didn't have, and what others add.
void forget_lock_waits();
void add_lock_wait(double ms);
double lock_waits_ms();

// Adds how long it lived.
class LockTimer
{
  public:
    LockTimer();
    LockTimer(const LockTimer &) = delete;
    LockTimer &operator=(const LockTimer &) = delete;
    ~LockTimer();

  private:
    std::int64_t begun_;
};

// Adds to lock_not_available who holds locks on the relations that a lock of this mode would wait for, where
// the error doesn't tell yet.
void name_holders(ErrorText &failure, const std::vector<Oid> &relids, int lockmode);

// For locks that keep everybody out, on a relation in use: all who come wait behind the request, so that what
// isn't had soon is asked for again later. A few times where little is lost by giving up, or patiently where all
// that went before would have to be made anew. The second within OwnerScope, whose timeouts it replaces.
void ask_briefly(GucScope &settings);
void ask_patiently(GucScope &settings);

// One statement in tries. Errors: 55P03 where they were in vain, and those of the statement.
void run_in_tries(Spi &spi, Oid relid, const std::string &sql);

// lock_owned() in tries. Errors: 55P03 where they were in vain, 42P01.
void lock_in_tries(const OwnedTable &table, int lockmode, LockWait &wait);

// Refuses where another serializable transaction has read the table and still matters: rows that leave the
// table would leave behind the marks by which PostgreSQL detects that somebody overwrites what was read. The
// caller holds ACCESS EXCLUSIVE on the table. Error: 55P03, as for a lock.
void require_no_serializable_readers(Oid table);

} // namespace privacy_scan::pg
