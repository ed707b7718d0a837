// How long we keep others out: from asking for the first lock that ordinary reads or writes would wait for to
// the end of the transaction, or of the subtransaction that is rolled back with it. Nobody can have waited
// for such a lock, or behind our request for it, any longer.
#pragma once

#include "pg/postgres.hpp"

namespace privacy_scan::pg
{

// Red. To be called right before a lock on a user's relation is asked for; only SHARE and stronger count.
void note_lock(int lockmode);

// Starts anew. Not while such a lock is held.
void forget_strong_locks();

// The longest stretch since then that has ended, in milliseconds; 0 where there was none.
double longest_strong_lock_ms();

} // namespace privacy_scan::pg
