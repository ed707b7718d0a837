// Whether a sample of all archives, tables and files, is still as the ledger says: what a job asks regularly.
#pragma once

#include "pg/error.hpp"
#include "pg/spi.hpp"

namespace privacy_scan::archive_file
{

// Archives that were found damaged before come first, all of them, so that a run fails until they are as they
// were; then up to privacy_scan.archive_sample others, those that nobody has looked at for longest.
class VerificationRun
{
  public:
    explicit VerificationRun(pg::Spi &spi);

    // Verifies the next archive as verify_archive() does. Call while !is_done(), and commit after each.
    void step(pg::Spi &spi);
    bool is_done() const { return next_ >= ids_.size(); }

    std::int64_t done() const { return static_cast<std::int64_t>(next_); }
    std::int64_t total() const { return static_cast<std::int64_t>(ids_.size()); }
    std::int64_t rows() const { return rows_; } // by the ledger, of the archives that were read

    // The archives that are DIFFERENT, MISSING or UNREADABLE, as an error (XX001); none where all are ok.
    std::optional<pg::ErrorText> failure() const;

  private:
    void judge(const std::string &archive, const std::string &leaf, const std::string &state);

    std::vector<std::int64_t> ids_; // of the ledger
    std::size_t next_ = 0;
    std::int64_t rows_ = 0;
    std::vector<std::string> damaged_;
};

} // namespace privacy_scan::archive_file
