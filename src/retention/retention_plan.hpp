// What a run would do, in the rows that a run returns.
#pragma once

#include "pg/rowset.hpp"
#include "retention/batch.hpp"
#include "retention/leaf_choice.hpp"

namespace privacy_scan::retention
{

// A row of plan_retention() and apply_retention().
struct ActionRow {
    Oid relid;
    std::string action; // archive, archive whole, keep: see doc/retention.md
    std::string target;
    std::int64_t rows = 0;
    std::int64_t bytes = 0;
    std::string key_from, key_to, reason;
    double ms = 0;
};

// Counts what has expired, as the owner; changes nothing. Children before parents; before a member the leaves
// of it that are large enough to go whole, with how they will go and why: their rows are left out of the
// member's row.
std::vector<ActionRow> plan_rows(pg::Spi &spi, const Work &work);

// The partitions that are empty by now, which a run drops; one that follows a plan doesn't.
std::vector<ActionRow> emptied_rows(pg::Spi &spi, const Work &work);

// What batches moved, added up by relation, in the same order.
class Summary
{
  public:
    explicit Summary(const Work &work);
    void add(const Batch &batch);
    const std::vector<ActionRow> &rows() const { return rows_; }
    std::int64_t roots() const { return roots_; }
    bool knows_leaves(std::size_t row) const { return !leaves_[row].empty(); }
    std::vector<Oid> leaves(std::size_t row) const; // that rows came from, but for those that went whole after it
    bool only_whole(std::size_t row) const { return whole_[row] == rows_[row].rows; } // not one row by row

  private:
    std::vector<ActionRow> rows_;
    std::vector<std::vector<Oid>> leaves_;
    std::vector<std::int64_t> whole_; // rows that went with their leaf
    std::int64_t roots_ = 0;
};

void put(pg::RowSink &sink, const ActionRow &row);


// ANALYZE of what changed, as its owner: the archives, the leaves that rows came from, and the partitioned
// parents, which autovacuum leaves out. A relation that somebody else keeps locked is left to autovacuum,
// with a WARNING.
void analyze(pg::Spi &spi, const Work &work, const Summary &summary);

} // namespace privacy_scan::retention
