// A run of one root's retention, a transaction at a time: what run_retention() and a job have in common.
#pragma once

#include "retention/emptied.hpp"
#include "retention/grace.hpp"
#include "retention/leaf_proof.hpp"
#include "retention/plan_store.hpp"
#include "retention/retention_guard.hpp"
#include "retention/retention_plan.hpp"
#include "retention/whole_leaf.hpp"

#include <map>

namespace privacy_scan::retention
{

// Refuses an instant later than the clock: rows would go that have not expired. Error 22023.
void refuse_future(std::int64_t at);

// The policy of a root that the caller owns. Errors: 42501, 42704.
Policy policy_of_caller(pg::Spi &spi, Oid root);

// Whole partitions first, then batch after batch, then the partitions that are empty by now, then what was
// detached and whose grace period has ended. After that what went whole is counted where it lies, with what earlier runs left:
// count_next().
class RootRun
{
  public:
    // Errors: 42501, 42704 and those of a family.
    RootRun(pg::Spi &spi, Oid root, std::int64_t at, std::int64_t max_rows, Said said = {});

    // By a plan: it does that and nothing else, whatever privacy_scan.retention_run_rows says; a step that
    // would do more, or in another way, fails with 55000.
    RootRun(pg::Spi &spi, const MadePlan &plan, std::int64_t max_rows, Said said);

    // Once it is done. Error: 55000 where less was found than the plan says.
    void require_as_planned() const;

    // Goes on in the caller's transaction, which should be committed then: looks for what may go whole, moves
    // one window of it, or one batch. Errors: those of the guards (55000), of move_window() and move_batch().
    void step(pg::Spi &spi);
    bool has_begun() const { return rows_ > 0 || is_moved_; } // something may be committed that it did
    bool is_done() const { return is_moved_ && !drops_emptied() && grace_.is_done(); }

    // The next part of the count, in the caller's transaction, which should be committed then. Call while !is_counted(), also
    // where a step has failed: it may have been one after much that went. What a plan takes was counted before.
    void count_next(pg::Spi &spi);
    bool is_counted() const { return budget_ || proof_.is_done(); }

    // What the steps since the last call have to say, a line each.
    std::vector<std::string> take_news() { return std::exchange(news_, {}); }

    // What couldn't be counted, once the rest is.
    const std::optional<pg::ErrorText> &failure() const { return proof_.failure(); }

    // Gathers statistics of what was changed; nothing where nothing was.
    void analyze(pg::Spi &spi) const;

    // The relations from which rows went one by one, without their partitioned parents where leaves are
    // known.
    std::vector<Oid> thinned() const;

    // The partitions that are empty but for pages, which VACUUM has to give back before they can be dropped.
    const std::vector<Oid> &emptied() const { return emptied_.with_pages(); }

    std::int64_t rows() const { return rows_; }
    std::vector<Oid> relations() const; // of the family

    // Before the first step of a run that nobody watches. Error: 55000.
    void refuse_quiet(pg::Spi &spi) const;

    // Counts the expired families, before the first step, for estimated_rows(). Reads the root.
    void count_families(pg::Spi &spi);

    // What comes next, and about how many rows the run will have archived at its end: by the number of
    // families that had expired when it began, and the rows of those that have gone.
    const char *phase() const;
    std::optional<std::int64_t> estimated_rows() const;

  private:
    bool is_full() const;
    bool drops_emptied() const { return is_moved_ && !budget_ && !emptied_.is_done(); }
    void add(const Batch &batch);
    void take_from_plan(const Batch &batch);
    void take_from_plan(const Batch &batch, const Window &window, const std::vector<std::string> &leaves);
    void move_next_window(pg::Spi &spi);
    void move_next_batch(pg::Spi &spi);

    Work work_;
    Summary summary_;
    std::int64_t at_, max_rows_;
    Said said_;
    std::optional<std::vector<Window>> windows_; // none: they are still to be looked for
    std::size_t next_window_ = 0;
    std::int64_t rows_ = 0;
    std::optional<std::int64_t> expired_; // families, where they were counted
    bool is_moved_ = false;               // all that has expired, or as much as one run may
    EmptiedRun emptied_;
    ProofRun proof_;
    std::map<std::string, std::int64_t> estimates_; // of what rows_ counts, by leaf, where it isn't proven
    GraceRun grace_;
    std::optional<PlanBudget> budget_; // where a plan is followed
    std::vector<std::string> news_;
};

// Step after step, each committed, with a NOTICE for what it did. What fails is rolled back and returned;
// what was committed stays. make: makes the run.
std::optional<pg::ErrorText> run_to_end(pg::Spi &spi, std::optional<RootRun> &run,
                                        const std::function<void()> &make);

} // namespace privacy_scan::retention
