// One batch: expired roots with their families, from the live relations into their archives, in one go.
#pragma once

#include "retention/archive_table.hpp"
#include "retention/digest.hpp"
#include "retention/family_sql.hpp"

namespace privacy_scan::retention
{

// A policy at work: family, statements and cutoff.
struct Work {
    Work(pg::Spi &spi, Policy policy, std::int64_t at);
    Work(const Work &) = delete;

    Policy policy;
    Family family;
    FamilySql sql;
    Cutoff cutoff;
    double rows_per_root; // of the family, root included: from statistics, then from the last batch
    std::int64_t
        passed_over{}; // oldest expired roots left for a later run: somebody was writing to their family
};

// What a batch moved out of one relation.
struct Moved {
    Oid relid;
    std::string target;
    std::int64_t rows = 0, bytes = 0;
    Digest digest{};
    double ms = 0;
    std::vector<Oid> leaves; // that rows came from; none where it isn't known
};

struct Batch {
    std::int64_t roots = 0;
    std::int64_t rows = 0;
    bool last = true; // no further expired root that isn't locked
    std::string key_from, key_to;
    std::vector<Moved> moved; // children before parents, the root last
};

// Moves up to about max_rows rows (at least one root's family; never more than max_rows otherwise, where
// strict), in a subtransaction of the caller's transaction, with a ledger row a relation.
//
// How nothing is lost: the roots are locked FOR UPDATE, which keeps new children out; rows that others refer
// to are locked likewise, from the root down; then each member's rows are moved, deepest first, by statements
// whose snapshots are younger than those locks; before a relation's parents go, none of its rows may belong
// to them any more, so that nothing is ever cascaded away; counts and digests of what was deleted and of what
// was inserted must agree. Roots that others are writing to are passed over. A family of which somebody holds
// a row longer than privacy_scan.lock_timeout is left for a later run.
//
// The family's relations are locked first, so that nobody changes their definition meanwhile.
//
// Errors: 25001 not READ COMMITTED; XX001 data_corrupted where counts or digests differ; 55000 where a row
// still refers to the batch; those of the archive.
Batch move_batch(pg::Spi &spi, Work &work, std::int64_t max_rows, bool strict);

} // namespace privacy_scan::retention
