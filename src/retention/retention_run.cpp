// See retention_run.hpp.
#include "pg/postgres.hpp"

#include "retention/retention_run.hpp"

#include "pg/clock.hpp"
#include "pg/ident.hpp"
#include "pg/memory.hpp"
#include "pg/subxact.hpp"
#include "retention/refuge.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <utils/timestamp.h>
}

namespace privacy_scan::retention
{

// A clock that runs ahead must not empty the store.
void refuse_future(std::int64_t at)
{
    if (at > pg::now())
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "argument \"at\" lies in the future",
                 "Rows would go that have not expired yet.",
                 "plan_retention() shows what will expire by then.");
}

Policy policy_of_caller(pg::Spi &spi, Oid root)
{
    pg::require_owner(root);
    return require_policy(spi, root);
}

namespace
{

// May the leaf go whole? A plan has said so, or a look at its rows.
bool may_go(pg::Spi &spi, const Work &work, const Leaf &leaf, const std::optional<PlanBudget> &budget)
{
    return budget ? budget->goes_whole(pg::qualified_name(leaf.table.relid)) : seems_to_go(spi, work, leaf);
}

// All of its roots have expired, or, where they are counted, nearly all of its rows go.
bool may_go(pg::Spi &spi, const Work &work, const Window &window, const std::optional<PlanBudget> &budget)
{
    const Leaf &of_root = window.leaves.back();
    if (budget)
        return may_go(spi, work, of_root, budget);
    if (has_expired(spi, work, of_root))
        return true;
    const LeafCount roots = count_leaf(spi, work, of_root);
    if (roots.expired == 0 || roots.rows - roots.expired > most_that_stay)
        return false; // its children need not be counted
    std::vector<LeafCount> counts;
    for (const Leaf &leaf : window.leaves)
        counts.push_back(count_leaf(spi, work, leaf));
    return judge(spi, work, window, counts).goes;
}

// The windows of whole families that may go; their leaves are taken out of the others.
std::vector<Window> find_families(pg::Spi &spi, const Work &work, std::vector<Leaf> &leaves,
                                  const std::optional<PlanBudget> &budget)
{
    std::vector<Window> expired;
    for (Window &window : family_windows(leaves)) {
        if (!may_go(spi, work, window, budget))
            continue;
        auto is_taken = [&](const Leaf &leaf) {
            return !leaf.key.empty() && leaf.bounds == window.leaves.back().bounds;
        };
        leaves.erase(std::remove_if(leaves.begin(), leaves.end(), is_taken), leaves.end());
        expired.push_back(std::move(window));
    }
    return expired;
}

// The windows that may go whole, once the guards have let them pass.
std::vector<Window> find_windows(pg::Spi &spi, const Work &work, std::int64_t at, Said said,
                                 const std::optional<PlanBudget> &budget)
{
    pg::OwnerScope owner(work.family.root().table.owner);
    std::vector<Leaf> leaves = choose_leaves(spi, work);
    std::vector<Window> expired = find_families(spi, work, leaves, budget);
    for (Window &window : windows_of(work, leaves)) {
        auto stays = [&](const Leaf &leaf) { return !may_go(spi, work, leaf, budget); };
        window.leaves.erase(std::remove_if(window.leaves.begin(), window.leaves.end(), stays),
                            window.leaves.end());
        if (!window.leaves.empty())
            expired.push_back(std::move(window));
    }
    check_guards(spi, work, expired, at, said);
    return expired;
}

bool went_whole(const Work &work, const Leaf &leaf, const Batch &batch)
{
    return std::any_of(batch.moved.begin(), batch.moved.end(), [&](const Moved &moved) {
        return !moved.whole.empty() && moved.relid == work.family.members[leaf.member].table.relid;
    });
}

std::string news_of_whole(const Work &work, const Window &window, const Batch &batch, double locked_ms)
{
    std::string leaves;
    for (const Leaf &leaf : window.leaves)
        if (went_whole(work, leaf, batch))
            leaves += (leaves.empty() ? "" : ", ") + leaf.name;
    const std::string ms = std::to_string(locked_ms);
    const char *action = work.policy.discards()   ? " discarded whole, "
                         : work.policy.detaches() ? " detached, "
                                                  : " archived whole, ";
    const bool is_counted = std::all_of(batch.moved.begin(), batch.moved.end(),
                                        [](const Moved &moved) { return moved.is_counted; });
    return work.family.root().name + ": " + leaves + action + (is_counted ? "" : "about ") +
           std::to_string(batch.rows) + " rows, " +
           std::to_string(batch.roots) + " families, strong locks held for " +
           ms.substr(0, ms.find('.') + 2) + " ms";
}

} // namespace

RootRun::RootRun(pg::Spi &spi, Oid root, std::int64_t at, std::int64_t max_rows, Said said)
    : work_(spi, policy_of_caller(spi, root), at), summary_(work_), at_(at), max_rows_(max_rows), said_(said),
      emptied_(work_), proof_(root), grace_(work_.policy, at)
{
}

RootRun::RootRun(pg::Spi &spi, const MadePlan &plan, std::int64_t max_rows, Said said)
    : RootRun(spi, plan.root, plan.at, max_rows, said)
{
    require_same_policy(spi, plan);
    budget_.emplace(plan);
    grace_.limit_to(plan.dropped());
}

bool RootRun::is_full() const
{
    return !budget_ && settings::retention_run_rows() > 0 && rows_ >= settings::retention_run_rows();
}

void RootRun::add(const Batch &batch)
{
    summary_.add(batch);
    rows_ += batch.rows;
}

// Before the batch is committed: what is not in the plan is rolled back.
void RootRun::take_from_plan(const Batch &batch)
{
    if (!budget_)
        return;
    for (const Moved &moved : batch.moved)
        if (moved.whole.empty())
            budget_->take_rows(pg::qualified_name(moved.relid), moved.rows);
}

// leaves: the names that they had before.
void RootRun::take_from_plan(const Batch &batch, const Window &window, const std::vector<std::string> &leaves)
{
    take_from_plan(batch);
    for (std::size_t i = 0; budget_ && i < window.leaves.size(); ++i)
        for (const Moved &moved : batch.moved)
            if (!moved.whole.empty() &&
                moved.relid == work_.family.members[window.leaves[i].member].table.relid)
                budget_->take_whole(leaves[i], moved.rows);
}

void RootRun::require_as_planned() const
{
    if (budget_)
        budget_->require_spent();
}

void RootRun::move_next_window(pg::Spi &spi)
{
    const Window &window = (*windows_)[next_window_];
    std::vector<std::string> names;
    for (const Leaf &leaf : window.leaves)
        names.push_back(pg::qualified_name(leaf.table.relid));
    Batch batch;
    double locked_ms = 0;
    const std::optional<std::string> why =
        move_window(spi, work_, window, budget_.has_value(), batch, locked_ms);
    ++next_window_;
    if (why && budget_)
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, names.front() + " cannot go as it was planned",
                 *why + ".", "What was committed stays. Make a new plan for the rest.");
    if (why) {
        const Leaf &leaf = window.has_root() ? window.leaves.back() : window.leaves.front();
        news_.push_back(work_.family.root().name + ": " + leaf.name + " goes row by row: " + *why);
        return;
    }
    take_from_plan(batch, window, names);
    add(batch);
    for (const Moved &moved : batch.moved)
        if (!moved.is_counted)
            estimates_[moved.whole] = moved.rows;
    news_.push_back(news_of_whole(work_, window, batch, locked_ms));
}

void RootRun::count_next(pg::Spi &spi)
{
    const std::optional<ProofRun::Proven> proven = proof_.step(spi, news_);
    if (!proven)
        return;
    const auto estimate = estimates_.find(proven->leaf);
    if (estimate != estimates_.end())
        rows_ += proven->total.rows - estimate->second;
}

void RootRun::move_next_batch(pg::Spi &spi)
{
    const Batch batch = move_batch(spi, work_, max_rows_, false);
    take_from_plan(batch);
    add(batch);
    is_moved_ = batch.last;
    if (batch.roots > 0)
        news_.push_back(work_.family.root().name + ": batch of " + std::to_string(batch.rows) + " rows " +
                        (work_.policy.discards() ? "discarded, " : "archived, ") +
                        std::to_string(summary_.roots()) + " families in all, up to " + batch.key_to);
}

void RootRun::step(pg::Spi &spi)
{
    if (!windows_)
        windows_ = find_windows(spi, work_, at_, said_, budget_);
    else if (drops_emptied())
        emptied_.step(spi, news_);
    else if (is_moved_)
        grace_.step(spi, news_);
    else if (next_window_ < windows_->size())
        move_next_window(spi);
    else
        move_next_batch(spi);
    if (!is_moved_ && is_full()) {
        is_moved_ = true;
        news_.push_back(work_.family.root().name + ": stopped at privacy_scan.retention_run_rows = " +
                        std::to_string(settings::retention_run_rows()) + ", the next run goes on");
    }
}

void RootRun::refuse_quiet(pg::Spi &spi) const
{
    check_quiet(spi, work_, at_);
}

void RootRun::count_families(pg::Spi &spi)
{
    const Member &root = work_.family.root();
    pg::OwnerScope owner(root.table.owner);
    expired_ =
        spi.run(work_.sql.count_expired(root), {pg::datum_param(work_.cutoff.type, work_.cutoff.value)})
            .int8(0, 1);
}

std::vector<Oid> RootRun::relations() const
{
    std::vector<Oid> relids;
    for (const Member &member : work_.family.members)
        relids.push_back(member.table.relid);
    return relids;
}

const char *RootRun::phase() const
{
    return !windows_                         ? "choosing partitions"
           : drops_emptied()                 ? "dropping empty partitions"
           : is_moved_ && !grace_.is_done()  ? "dropping detached partitions"
           : is_moved_                       ? "counting what went whole"
           : next_window_ < windows_->size() ? "archiving partitions"
                                             : "archiving rows";
}

std::optional<std::int64_t> RootRun::estimated_rows() const
{
    const std::int64_t gone = summary_.roots();
    if (is_moved_)
        return rows_;
    if (!expired_ || (gone == 0 && *expired_ > 0))
        return std::nullopt;
    const double rows_per_root = gone > 0 ? static_cast<double>(rows_) / static_cast<double>(gone) : 0;
    return rows_ + static_cast<std::int64_t>(
                       static_cast<double>(std::max<std::int64_t>(0, *expired_ - gone)) * rows_per_root);
}

std::vector<Oid> RootRun::thinned() const
{
    std::vector<Oid> relids;
    const std::vector<Member> &members = work_.family.members;
    for (std::size_t i = 0; i < members.size(); ++i) {
        if (summary_.rows()[i].rows == 0 || summary_.only_whole(i))
            continue;
        const std::vector<Oid> leaves = summary_.leaves(i);
        relids.insert(relids.end(), leaves.begin(), leaves.end());
        if (!summary_.knows_leaves(i))
            relids.push_back(members[members.size() - 1 - i].table.relid);
    }
    return relids;
}

void RootRun::analyze(pg::Spi &spi) const
{
    if (summary_.roots() > 0)
        retention::analyze(spi, work_, summary_);
}

namespace
{

void notify(const std::vector<std::string> &news)
{
    for (const std::string &line : news) {
        const char *text = line.c_str();
        pg::guarded([=] { ereport(NOTICE, (errmsg_internal("%s", text))); });
    }
}

// A step, committed, with what it has to say.
std::optional<pg::ErrorText> step_alone(pg::Spi &spi, RootRun &run, void (RootRun::*step)(pg::Spi &))
{
    pg::MemoryScope memory("step of run_retention");
    auto failure = pg::try_in_subtransaction([&] { (run.*step)(spi); });
    spi.commit();
    if (!failure)
        notify(run.take_news());
    return failure;
}

} // namespace

std::optional<pg::ErrorText> run_to_end(pg::Spi &spi, std::optional<RootRun> &run,
                                        const std::function<void()> &make)
{
    auto failure = pg::try_in_subtransaction(make);
    if (!run)
        return failure;
    while (!failure && !run->is_done())
        failure = step_alone(spi, *run, &RootRun::step);
    run->analyze(spi);
    spi.commit();
    auto uncounted = std::optional<pg::ErrorText>();
    while (!uncounted && !run->is_counted())
        uncounted = step_alone(spi, *run, &RootRun::count_next);
    if (!failure)
        failure = pg::try_in_subtransaction([&] { run->require_as_planned(); });
    return failure ? failure : uncounted ? uncounted : run->failure();
}

} // namespace privacy_scan::retention
