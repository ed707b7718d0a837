// What a policy that detaches leaves standing (partitions that went whole, alone; the tables that took the
// rows of batches, as children of the archive), until its grace period has ended: then a run drops it.
#pragma once

#include "pg/error.hpp"
#include "retention/family.hpp"
#include "retention/policy.hpp"

#include <set>

extern "C" {
#include <datatype/timestamp.h>
}

namespace privacy_scan::retention
{

struct DetachedTable {
    std::int64_t id;                    // the first of its rows in the ledger
    Oid relid;                          // InvalidOid: somebody has dropped it
    std::string relation, target, leaf; // qualified, quoted
    std::int64_t rows;                  // by the ledger; below 0: not counted yet
    bool is_root;                       // it holds rows of the root
    std::string held_by;                // why it must stay; empty: it may go
};

// The tables of a policy whose grace period has ended at an instant, those of the root last. None of them may
// go while a hold is in force on a root that was archived: what belongs to it may be in any of them.
std::vector<DetachedTable> tables_past_grace(pg::Spi &spi, const Policy &policy, std::int64_t at);

// Drops them, a transaction each.
class GraceRun
{
  public:
    GraceRun(const Policy &policy, std::int64_t at);

    // Leaves, qualified and quoted: no other is dropped.
    void limit_to(std::set<std::string> leaves) { only_ = std::move(leaves); }

    // The next part: the tables that take rows of batches are closed and the work is found, then a table is
    // dropped. Call while !is_done(), and commit after each. A table that fails does not stop the others,
    // but for those of the root; the first failure is raised by the last step. Locks: SHARE while the table
    // is compared with the ledger, then ACCESS EXCLUSIVE in short tries. Errors: XX001 a table that is not as
    // the ledger says, 2BP01 where something depends on it, 55P03.
    void step(pg::Spi &spi, std::vector<std::string> &news);
    bool is_done() const { return is_done_; }

  private:
    void drop_next(pg::Spi &spi, std::vector<std::string> &news);

    const Policy &policy_; // its holds aside, which are read anew
    Interval grace_{};     // lives as long as this does
    std::int64_t at_;
    bool is_done_, is_begun_ = false;
    std::vector<DetachedTable> tables_; // the next one last
    std::optional<std::set<std::string>> only_;
    std::optional<pg::ErrorText> failure_;
};

// For who looks for archived rows: makes the partitions that stand alone children of their archives, for the
// rest of the transaction or until they are parted again; those of any policy that took rows of the family. The
// caller has locked the family, so that none is detached meanwhile, and does this in tries. As the owner.
// Locks: ACCESS EXCLUSIVE on them, SHARE UPDATE EXCLUSIVE on the archives. Error also: 42P01 an archive is gone.
std::vector<DetachedTable> join_detached(pg::Spi &spi, const Family &family);
void part_detached(pg::Spi &spi, const std::vector<DetachedTable> &joined);

// The same of one table that stands alone, for good.
void join_one(pg::Spi &spi, const DetachedTable &table);

} // namespace privacy_scan::retention
