// What has changed since a plan was made, and how far it has been carried out. See plan_store.hpp. Pure.
#include "pg/postgres.hpp"

#include "retention/plan_store.hpp"

namespace privacy_scan::retention
{

namespace
{

// Rows that stay show in what goes, and holds by their ids.
bool counts(const PlannedAction &action)
{
    return action.action != "keep";
}

const PlannedAction *find(const MadePlan &plan, const std::string &relation)
{
    for (const PlannedAction &action : plan.actions)
        if (counts(action) && action.relation == relation)
            return &action;
    return nullptr;
}

std::string rows_of(std::int64_t rows)
{
    return std::to_string(rows) + (rows == 1 ? " row" : " rows");
}

void add_policy(const MadePlan &made, const MadePlan &now, std::vector<std::string> &changes)
{
    if (made.policy != now.policy)
        changes.push_back("The policy was " + made.policy + ", and is " + now.policy + ".");
    if (made.holds != now.holds)
        changes.push_back("The holds in force were " + (made.holds.empty() ? "none" : made.holds) +
                          ", and are " + (now.holds.empty() ? "none" : now.holds) + ".");
}

void add_changed(const PlannedAction &was, const PlannedAction &is, std::vector<std::string> &changes)
{
    if (was.shape != is.shape)
        changes.push_back("The definition of " + was.relation + " has changed.");
    if (was.action != is.action || was.target != is.target)
        changes.push_back(was.relation + " was to go by " + was.action + ", and would go by " + is.action +
                          ": " + is.reason + ".");
    if (was.rows != is.rows)
        changes.push_back("Of " + was.relation + " " + rows_of(was.rows) + " were to go, and " +
                          rows_of(is.rows) + " would.");
}

} // namespace

std::vector<std::string> differences(const MadePlan &made, const MadePlan &now)
{
    std::vector<std::string> changes;
    add_policy(made, now, changes);
    for (const PlannedAction &was : made.actions) {
        if (!counts(was))
            continue;
        if (const PlannedAction *is = find(now, was.relation))
            add_changed(was, *is, changes);
        else
            changes.push_back("Nothing of " + was.relation + " would go by itself any more.");
    }
    for (const PlannedAction &is : now.actions)
        if (counts(is) && !find(made, is.relation))
            changes.push_back(is.relation + " is new: " + rows_of(is.rows) + " would go by " + is.action +
                              ".");
    if (changes.empty() && made.roots != now.roots)
        changes.push_back("As many roots have expired, but not the same ones.");
    return changes;
}

std::set<std::string> MadePlan::dropped() const
{
    std::set<std::string> names;
    for (const PlannedAction &action : actions)
        if (action.action == "drop")
            names.insert(action.relation);
    return names;
}

PlanBudget::PlanBudget(const MadePlan &plan) : id_(plan.id)
{
    for (const PlannedAction &action : plan.actions) {
        if (action.is_whole())
            part(action.relation, true).left += action.rows;
        else if (action.is_by_rows())
            part(action.member, false).left += action.rows;
    }
}

PlanBudget::Part &PlanBudget::part(const std::string &name, bool is_whole)
{
    for (Part &known : parts_)
        if (known.name == name && known.is_whole == is_whole)
            return known;
    parts_.push_back({name, is_whole, 0});
    return parts_.back();
}

bool PlanBudget::goes_whole(const std::string &leaf) const
{
    return std::any_of(parts_.begin(), parts_.end(),
                       [&](const Part &known) { return known.is_whole && known.name == leaf; });
}

namespace
{

[[noreturn]] void stop(std::int64_t id, const std::string &detail)
{
    pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
             "plan " + std::to_string(id) + " does not fit any more", detail,
             "What was committed stays. Make a new plan for the rest.");
}

} // namespace

void PlanBudget::take_rows(const std::string &member, std::int64_t rows)
{
    Part &known = part(member, false);
    if (rows > known.left)
        stop(id_, "Of " + member + " " + rows_of(rows - known.left) + " more would go than were planned.");
    known.left -= rows;
}

void PlanBudget::take_whole(const std::string &leaf, std::int64_t rows)
{
    Part &known = part(leaf, true);
    if (rows != known.left)
        stop(id_, leaf + " has " + rows_of(rows) + " instead of " + std::to_string(known.left) + ".");
    known.left = 0;
}

void PlanBudget::require_spent() const
{
    for (const Part &known : parts_)
        if (known.left > 0)
            stop(id_, "Of " + known.name + " " + rows_of(known.left) + " fewer went than were planned.");
}

} // namespace privacy_scan::retention
