// What becomes of the archive tables of a policy that makes files, a transaction at a time: what
// export_archives() and a job have in common.
#pragma once

#include "archive_file/archive_entry.hpp"
#include "pg/error.hpp"

namespace privacy_scan::archive_file
{

class FileRun
{
  public:
    // The caller owns the root. A root without such a policy has nothing to do.
    FileRun(pg::Spi &spi, Oid root);

    // The next part: windows are closed, then each table without a file is exported, then each whose file is
    // proven and, as the policy says, confirmed is removed. Call while !is_done(), and commit after each. A
    // table that fails is rolled back and does not stop the others.
    void step(pg::Spi &spi);
    bool is_done() const { return is_done_; }

    const std::optional<pg::ErrorText> &failure() const { return failure_; } // the first

    std::vector<std::string> take_news() { return std::exchange(news_, {}); }

  private:
    void find_work(pg::Spi &spi);
    void export_next(pg::Spi &spi);
    void remove_next(pg::Spi &spi);

    Oid root_;
    bool is_done_, needs_confirmation_ = true, is_begun_ = false;
    std::vector<std::int64_t> to_export_, to_remove_; // the next one last
    std::optional<pg::ErrorText> failure_;
    std::vector<std::string> news_;
};

} // namespace privacy_scan::archive_file
