// Retention policies: what is kept how long.
#pragma once

#include "retention/family.hpp"
#include "retention/hold.hpp"

namespace privacy_scan::retention
{

struct Policy {
    Oid root = InvalidOid;
    std::string key;               // unquoted name of the root's time column, or of an id that carries time
    Datum keep = 0;                // interval, in the memory context of the caller
    std::string condition;         // SQL over the alias t, or empty
    std::string archive_schema;    // empty: <schema>_archive
    std::string key_kind;          // of the ids; empty where the key is a time
    std::string archive = "table"; // or file, detach, discard
    std::string remove_after;      // of tables that went on as files: exported, confirmed; otherwise empty
    std::optional<Datum> grace;    // interval that what was detached stands; of detach alone
    std::vector<Hold> holds;       // in force when a batch began

    bool makes_files() const { return archive == "file"; }
    bool detaches() const { return archive == "detach"; }
    bool discards() const { return archive == "discard"; }

    // Rows of batches go into tables that end one day (archive_window.hpp).
    bool has_windows() const { return makes_files() || detaches(); }

    // Leaves that go whole become children of the archive.
    bool keeps_leaves() const { return !detaches() && !discards(); }
};

// Checks interval, key and (uncompiled) condition, and compiles the condition. For an id without a kind takes
// that of the root's partitions. Errors: 22023 keep and kind, 42703, 42804 and 42P22 key, those of
// compile_condition().
void check_policy(pg::Spi &spi, Policy &policy);

// The cutoff on the key's axis: at - keep, reckoned in UTC whatever the session's zone; as a value of the
// key's own type (timestamp: in UTC; date: the day in UTC; id: the smallest from there on).
struct Cutoff {
    Oid type;
    Datum value;
    std::int64_t instant; // as timestamptz
};
Cutoff cutoff_of(const Policy &policy, std::int64_t at);

std::optional<Policy> find_policy(pg::Spi &spi, Oid root);
Policy require_policy(pg::Spi &spi, Oid root);    // error 42704
std::vector<Oid> roots_with_policy(pg::Spi &spi); // those that the caller owns, by name
void store_policy(pg::Spi &spi, const Policy &policy);
bool delete_policy(pg::Spi &spi, Oid root);

// The type of the root's key, where its values' order is the same everywhere: as the ledger writes them, they
// can be compared. Otherwise empty.
std::string comparable_key(const Policy &policy);

// The root's key, column and type, as the ledger notes by what a range was reckoned.
std::string key_in_words(const Policy &policy);

// Keys of roots. No type: any.
struct KeyRange {
    std::string key, type, least, greatest; // key: in words
};

// SQL: whether the rows of a row of the ledger, alias a, may be of roots in the range. True of those that were
// written by another key, whose ranges say nothing of this one. Takes $2 least, $3 greatest, $4 key, as text.
std::string may_meet(const KeyRange &range);

} // namespace privacy_scan::retention
