// Partitions that rows have left one by one. Once VACUUM has given back the last page nobody sees anything in one
// any more, however old the snapshot, and before the cutoff nothing is expected there.
#pragma once

#include "retention/family_move.hpp"

namespace privacy_scan::retention
{

// Drops them, a transaction each: those of managed sets of the family to which nothing refers.
class EmptiedRun
{
  public:
    explicit EmptiedRun(const Work &work) : work_(work) {}

    // The next part: the work is found, then a partition is dropped. Call while !is_done(), and commit after
    // each. Locks: ACCESS EXCLUSIVE on the set and the partition, in few short tries; what cannot be had, or
    // dropped, stays for the next run, and is told.
    void step(pg::Spi &spi, std::vector<std::string> &news);
    bool is_done() const { return is_found_ && partitions_.empty(); }

  private:
    struct Emptied {
        pg::OwnedTable set, table;
    };

    void find(pg::Spi &spi);
    void find_in(pg::Spi &spi, const Member &member);
    bool drop(pg::Spi &spi, const Emptied &emptied) const;

    const Work &work_;
    bool is_found_ = false;
    std::vector<Emptied> partitions_; // the next one last
    std::vector<std::string> dropped_;
};

} // namespace privacy_scan::retention
