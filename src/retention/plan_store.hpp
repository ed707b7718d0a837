// A plan that was written down, to be carried out exactly as it was shown: what it says, whether it still
// fits, and what a run may do that goes by it.
#pragma once

#include "retention/family_move.hpp"

#include <set>

namespace privacy_scan::retention
{

// What is to become of one relation, or of one partition. Names are qualified and quoted.
struct PlannedAction {
    std::string relation, member, action, target; // member: the relation of the family, of which it is a part
    std::int64_t rows = 0, bytes = 0;
    std::string key_from, key_to, reason;
    std::string shape; // a hash of its identity: OID, columns, bounds, foreign keys

    bool is_whole() const
    {
        return action == "archive whole" || action == "discard whole" || action == "detach";
    }
    bool is_by_rows() const { return action == "archive" || action == "discard"; }
};

struct MadePlan {
    // The names of what was detached, and is to be dropped.
    std::set<std::string> dropped() const;

    std::int64_t id = 0;
    Oid root = InvalidOid;
    std::int64_t at = 0;       // the instant from which the cutoff is reckoned, for good
    std::string policy, holds; // the policy in words; the ids of the holds in force, with commas
    std::string roots;         // a digest of which roots have expired
    std::vector<PlannedAction> actions;
};

// What a run at the work's instant would do now. Counts, as plan_retention().
MadePlan draw_plan(pg::Spi &spi, const Work &work);

// Writes it down; valid: an interval. Its id. Plans that ended more than 30 days ago go.
std::int64_t store_plan(pg::Spi &spi, const Work &work, const MadePlan &plan, Datum valid);

// A plan of a root that the caller owns, which may be carried out. Errors: 42704 no such plan, 42501, 55000
// it was carried out, or begun, already, or its time is over.
MadePlan require_plan(pg::Spi &spi, std::int64_t id);

// How it went. A plan that failed before anything of it was done may be applied again. begin_plan(): 55000
// where another session was faster.
void begin_plan(pg::Spi &spi, std::int64_t id);
void end_plan(pg::Spi &spi, std::int64_t id, const std::optional<pg::ErrorText> &failure, bool has_begun);

// What has changed between two plans for the same instant in a way that matters, a sentence each; none: the
// one does what the other says. Pure.
std::vector<std::string> differences(const MadePlan &made, const MadePlan &now);

// Error 55000 where the policy isn't that of the plan, for a run that has read the policy and begins.
void require_same_policy(pg::Spi &spi, const MadePlan &plan);

// Error 55000, which names what has changed.
void require_fits(pg::Spi &spi, const Work &work, const MadePlan &plan);

// What of a plan is still to be done. Pure, but for the errors (55000) that end a run before it is committed.
class PlanBudget
{
  public:
    explicit PlanBudget(const MadePlan &plan);

    bool goes_whole(const std::string &leaf) const;

    // Rows of a member that went one by one; a leaf with all of its rows.
    void take_rows(const std::string &member, std::int64_t rows);
    void take_whole(const std::string &leaf, std::int64_t rows);

    void require_spent() const;

  private:
    struct Part {
        std::string name;
        bool is_whole;
        std::int64_t left;
    };
    Part &part(const std::string &name, bool is_whole);

    std::int64_t id_;
    std::vector<Part> parts_;
};

} // namespace privacy_scan::retention
