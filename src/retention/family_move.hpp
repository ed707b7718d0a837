// Moving families out of the live relations: what batches (batch.hpp) and whole leaves (whole_leaf.hpp)
// share.
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
    std::int64_t at; // the instant that the cutoff was reckoned from
    Cutoff cutoff;
    double rows_per_root; // of the family, root included: from statistics, then from the last batch
    std::int64_t
        passed_over{}; // oldest expired roots left for a later run: somebody was writing to their family
};

// What was moved out of one relation.
struct Moved {
    Oid relid;
    std::string target;
    std::int64_t rows = 0, bytes = 0;
    Digest digest{};
    double ms = 0;
    std::vector<Oid> leaves; // that rows came from; none where it isn't known
    std::string whole;       // the leaf, as it is called in the archive, that went with all of its rows
    std::string bounds;      // and its bounds
    std::string window;      // the window that the rows went to
    bool is_counted = true;  // otherwise rows is an estimate, bytes and digest are not known (leaf_proof.hpp)
};

struct Batch {
    std::int64_t roots = 0;
    std::int64_t rows = 0;
    bool last = true; // no further expired root that isn't locked
    std::string key_from, key_to;
    std::vector<Moved> moved; // children before parents, the root last; then leaves that went whole
};

// The picked roots, locked: the row of FamilySql::pick_roots(), alive as long as its arrays are needed.
struct Picked {
    Picked(pg::Rows the_row, std::size_t columns);
    pg::Rows row;
    std::int64_t count;
    std::vector<pg::Param> params;
};

std::int64_t count_rows(pg::Spi &spi, const Work &work, const Picked &picked, const Member &member);

// True where a statement on a member, or on an archive, would run a trigger or rule of a user's.
bool has_user_triggers(pg::Spi &spi, const Work &work, const std::vector<ArchiveTable> &archives);

// Moves the picked roots and all that belongs to them into the archives, deepest first, but for the rows in
// the leaves (qualified, quoted) to be spared, and for those of the members to be spared. Fills in the batch.
// The caller is the owner.
struct ToSpare {
    std::vector<std::string> leaves;
    std::vector<std::size_t> members;
};
void move_picked(pg::Spi &spi, const Work &work, const std::vector<ArchiveTable> &archives,
                 const Picked &picked, const ToSpare &spared, Batch &batch);

// Enters what was moved in the ledger.
void write_ledger(pg::Spi &spi, const Work &work, const Batch &batch);

// The family as it is now, its relations locked in ROW EXCLUSIVE, and its archives, in the order of its
// members. Errors: 55000 where its keys have changed since, 55P03, those of open_archive().
std::vector<ArchiveTable> prepare_with_locks(pg::Spi &spi, Work &work);

// True of an error that another session's locks cause, or its writing.
bool is_busy(const pg::ErrorText &failure);

} // namespace privacy_scan::retention
