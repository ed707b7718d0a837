// The extension itself as an object that may be dropped or updated while we work.
#pragma once

#include "pg/error.hpp"

namespace privacy_scan::pg
{

// Which extension this is: dropped and made anew, or updated, it is another.
struct ExtensionMark {
    Oid oid; // InvalidOid: none is installed
    TransactionId row;

    bool operator==(const ExtensionMark &other) const { return oid == other.oid && row == other.row; }
};

// It is gone, or another, since work began that commits on its way: nothing of that work can go on.
struct ExtensionGone : Error {
    ExtensionGone();
};

// Keeps the extension as it is until the end of the transaction, and waits for whoever is about to drop or to
// update it. To be taken before any other lock: DROP EXTENSION, and the COMMENT ON EXTENSION that an update's
// script begins with, lock the extension first and its tables after it. In this order they wait for us or we
// for them; in any other they end in a deadlock, which may hit the operator. Not on a standby.
ExtensionMark hold_extension();

} // namespace privacy_scan::pg
