// Partitions that went whole are counted and digested where they lie in the archive, once all that a run removes is gone:
// the removal need not wait until every row was read. Nothing is copied by it, so that nothing could differ; the digest
// is for those who look later. Until then the ledger's entry has no rows, and is unproven; a run, or whoever first
// asks (archive_total.hpp), makes good for it, also after a crash.
#pragma once

#include "retention/archive_total.hpp"

namespace privacy_scan::retention
{

class ProofRun
{
  public:
    explicit ProofRun(Oid root) : root_(root) {}

    struct Proven {
        std::string leaf;
        RowTotal total;
    };

    // The next part: the unproven entries of the root's family are found, then one is proven, in the caller's
    // transaction. Call while !is_done(), and commit after each. What can't be read, is gone, or is counted by another
    // session, stays as it is, and is told: verify_archive() says more. Locks: ACCESS SHARE, in tries.
    std::optional<Proven> step(pg::Spi &spi, std::vector<std::string> &news);
    bool is_done() const { return is_found_ && entries_.empty(); }

    // Of the first that couldn't be read, though it is there.
    const std::optional<pg::ErrorText> &failure() const { return failure_; }

  private:
    struct Entry {
        std::string target, leaf;
    };
    void find(pg::Spi &spi);
    void keep_failure(const Entry &entry, pg::ErrorText failure);

    Oid root_;
    bool is_found_ = false;
    std::vector<Entry> entries_; // the next one last
    std::optional<pg::ErrorText> failure_;
};

} // namespace privacy_scan::retention
