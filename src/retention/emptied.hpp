// Partitions that rows have left one by one, of managed sets of a family to which nothing refers. Once VACUUM has
// given back the last page nobody sees anything in one any more, however old the snapshot, and before the cutoff
// nothing is expected there.
#pragma once

#include "retention/family_move.hpp"

namespace privacy_scan::retention
{

struct Emptied {
    pg::OwnedTable set, table;
    bool has_pages; // which VACUUM has still to give back
};

// Those before the cutoff in which no row is seen, set by set, by their bounds. Reads one that has pages up to
// its first row. Locks: ACCESS SHARE.
std::vector<Emptied> find_emptied(pg::Spi &spi, const Work &work);

// Drops those without a page, a transaction each.
class EmptiedRun
{
  public:
    explicit EmptiedRun(const Work &work) : work_(work) {}

    // The next part: the work is found, then a partition is dropped. Call while !is_done(), and commit after
    // each. Locks: ACCESS EXCLUSIVE on the set and the partition, in few short tries; what cannot be had, or
    // dropped, stays for the next run, and is told. What is dropped is also in the server's log, since it is in
    // no ledger.
    void step(pg::Spi &spi, std::vector<std::string> &news);
    bool is_done() const { return is_found_ && partitions_.empty(); }

    // Those with pages, once the work is found.
    const std::vector<Oid> &with_pages() const { return with_pages_; }

  private:
    void find(pg::Spi &spi);
    bool drop(pg::Spi &spi, const Emptied &emptied) const;
    std::string dropped_in_words() const;

    const Work &work_;
    bool is_found_ = false;
    std::vector<Emptied> partitions_; // the next one last
    std::vector<Oid> with_pages_;
    std::vector<std::string> dropped_;
};

} // namespace privacy_scan::retention
