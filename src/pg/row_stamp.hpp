// Row versions with the visibility of others. A copy that takes the place of a row must look to every snapshot
// as the row that it stands for: made and deleted by the transactions that did, not by ours. All red.
#pragma once

#include "pg/postgres.hpp"

extern "C" {
#include <access/htup.h>
#include <utils/relcache.h>
}

namespace privacy_scan::pg
{

struct Stamp {
    TransactionId made;    // InvalidTransactionId: so long ago that everybody sees it
    TransactionId deleted; // InvalidTransactionId: not deleted
};

// Stamps a version that this transaction has inserted. At once and for good: also where the transaction fails
// the version counts. The relation is nobody's but ours, and what counts too much is withdrawn later.
void stamp_version(Relation relation, ItemPointer tid, Stamp stamp);

// Makes a version one that was never there, likewise for good.
void withdraw_version(Relation relation, ItemPointer tid);

} // namespace privacy_scan::pg
