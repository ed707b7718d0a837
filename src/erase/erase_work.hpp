// The work of one erasure: what it finds (erase_work.cpp), and what it removes (erase_removal.cpp).
#pragma once

#include "erase/erase_ledger.hpp"
#include "erase/erase_missing.hpp"
#include "erase/erase_run.hpp"
#include "erase/erase_sql.hpp"
#include "retention/policy.hpp"

namespace privacy_scan::erase
{

class EraseWork
{
  public:
    // Locks the family and its archives.
    EraseWork(pg::Spi &spi, Oid root, const Request &request);
    EraseWork(const EraseWork &) = delete;
    EraseWork &operator=(const EraseWork &) = delete;

    void clean(const Returned &file);
    void find();
    void remove();
    void renew_manifests();

    std::int64_t roots() const { return roots_; }
    const std::vector<Erased> &parts() const { return parts_; }
    const pg::Param &hashes() const { return hashes_; }
    const std::vector<Missed> &missed() const { return missed_; }
    const Places &places() const { return places_; }
    bool has_work() const { return roots_ > 0 || !missed_.empty(); }

  private:
    void stage_files(std::size_t member);
    void pass_over(std::size_t member, const archive_file::Entry &entry, const archive_file::FileState &lack);
    std::vector<LostKeys> lost_roots(const std::string &file, const archive_file::FileState &lack);
    std::vector<LostKeys> lost_keys(std::size_t member, const std::string &file, const archive_file::FileState &lack);
    std::vector<std::string> range_columns();
    void forget_values(const std::string &column, const pg::Param &values);
    void forget_ranges(Oid relid, const std::string &from, const std::string &condition = {});
    retention::RowTotal take(const Place &place, const Returned &file);
    std::int64_t count_held_in(const std::string &from, const Returned &file);
    void pick_roots();
    void pick_rows(std::size_t member);
    void add_params(pg::Rows &&row, int first);
    std::int64_t count_held(const std::string &condition);
    void refuse_held();
    void require_keys(const Place &place);
    void require_none_left(std::size_t member);
    void require_gone(const Place &place);
    void remove_live(const Place &place);
    void remove_archived(const Place &place);
    bool is_staged(const std::string &leaf) const;
    std::string leaf_name(const Place &place, Oid source) const;
    void follow(const Place &place, const std::string &leaf, const retention::RowTotal &total);

    pg::Spi &spi_;
    const Request &request_;
    const Places places_;
    EraseSql sql_;
    const Oid owner_;
    const std::string id_;
    std::int64_t roots_ = 0, deleted_roots_ = 0;
    retention::KeyRange range_;
    std::vector<pg::Rows> picked_; // whose arrays the parameters are
    std::vector<pg::Param> params_;
    pg::Param hashes_{};              // text[]
    std::optional<pg::Param> asked_;  // ids, text[], of roots in files that are missing
    std::vector<std::string> staged_; // leaves
    std::vector<Missed> missed_;
    std::vector<LedgerPart> blurred_; // of which the ledger's range has changed
    std::vector<std::string> rewritten_; // leaves, whose files and manifests are new
    std::vector<Erased> parts_;
};

} // namespace privacy_scan::erase
