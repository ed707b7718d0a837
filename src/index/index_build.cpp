// See index_build.hpp.
#include "pg/postgres.hpp"

#include "index/index_build.hpp"

#include "pg/clock.hpp"
#include "pg/ident.hpp"
#include "pg/top_level.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <catalog/pg_class.h>
#include <storage/lockdefs.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::index
{

IndexBuild::IndexBuild(pg::Spi &spi, Wish wish)
    : wish_(std::move(wish)), lock_({RelationRelationId, wish_.relid, 0})
{
    if (!lock_.is_held())
        pg::fail(ERRCODE_OBJECT_IN_USE,
                 "another session builds an index on relation \"" + pg::relation_name(wish_.relid) + "\"", {},
                 "Wait for its end, and call again where there is something left to do.");
    start_pass(spi);
    check_columns(wish_);
}

void IndexBuild::start_pass(pg::Spi &spi)
{
    members_ = members_of(spi, wish_.relid);
    index_of_.clear();
    next_ = 0;
    has_acted_ = false;
}

bool IndexBuild::step(pg::Spi &spi)
{
    if (pending_) {
        run_pending();
        return true;
    }
    if (failure_) {
        clean_up(spi);
        return true;
    }
    return decide(spi);
}

// One pass over the relations after the other, until one finds nothing to do: partitions come and go.
bool IndexBuild::decide(pg::Spi &spi)
{
    for (; next_ < members_.size(); ++next_) {
        const Member &member = members_[next_];
        const std::optional<Site> site = read_site(spi, member);
        if (!site)
            continue;
        const Step step = next_step(*site);
        if (step.action != Action::none) {
            has_acted_ = true;
            act(spi, member, site->parent_index, step);
            return true;
        }
        index_of_[member.table.relid] = step.index;
    }
    if (has_acted_) {
        start_pass(spi);
        return true;
    }
    require_valid(spi);
    return false;
}

// None where the relation was dropped or detached since the pass began, or moved to where it has not been
// looked at. That the root is there, and the caller's, is required.
std::optional<Site> IndexBuild::read_site(pg::Spi &spi, const Member &member)
{
    const Oid relid = member.table.relid;
    if (relid == wish_.relid) {
        pg::require_owner(relid);
        return Site{member.is_partitioned, true, InvalidOid, find_indexes(spi, relid, wish_)};
    }
    const auto parent = index_of_.find(parent_of(spi, relid));
    if (parent == index_of_.end())
        return std::nullopt;
    return Site{member.is_partitioned, false, parent->second, find_indexes(spi, relid, wish_)};
}

void IndexBuild::act(pg::Spi &spi, const Member &member, Oid parent_index, const Step &step)
{
    const Oid relid = member.table.relid;
    if (step.action == Action::drop) {
        prepare_drop(spi, member);
    } else if (step.action == Action::attach) {
        const pg::OwnedTable index{step.index, member.table.owner};
        run_locked(spi, index, AccessExclusiveLock, attach_sql(parent_index, step.index),
                   {pg::qualified_name(relid), pg::relation_name(step.index), step.action, 0, {}});
    } else {
        require_first_time(relid);
        const std::string name = free_name(spi, relid, wish_);
        const std::string sql = create_sql(relid, name, wish_, step.action);
        if (step.action == Action::build)
            pending_ = Pending{member.table, step.action, name, sql};
        else
            run_locked(spi, member.table, ShareLock, sql,
                       {pg::qualified_name(relid), name, step.action, 0, {}});
    }
}

// What was made and is not found again would be made for ever.
void IndexBuild::require_first_time(Oid relid)
{
    if (!made_.insert(relid).second)
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "the index of relation \"" + pg::relation_name(relid) +
                     "\" was made, and is not there as it was asked for",
                 "Somebody dropped or changed it meanwhile, or PostgreSQL takes the method for another.");
}

// While somebody builds it, his lock keeps us out; what is not valid after that is nobody's any more. False
// where there is nothing to drop.
bool IndexBuild::prepare_drop(pg::Spi &spi, const Member &member)
{
    pg::LockWait wait;
    pg::lock_in_tries(member.table, ShareUpdateExclusiveLock, wait);
    const std::optional<Site> site = read_site(spi, member);
    const Step step = site ? next_step(*site) : Step{Action::none, InvalidOid};
    if (step.action != Action::drop)
        return false;
    pending_ = Pending{member.table, step.action, pg::relation_name(step.index), drop_sql(step.index)};
    return true;
}

// A build that fails leaves an index that every insert would maintain and no query could use.
void IndexBuild::run_pending()
{
    const Pending pending = *std::exchange(pending_, std::nullopt);
    const TimestampTz begun = GetCurrentTimestamp();
    const bool is_cleaning_up = failure_.has_value();
    const int timeout = is_cleaning_up ? settings::lock_timeout_ms() : settings::concurrent_lock_timeout_ms();
    pg::TopLevelReport report;
    try {
        report = pg::run_top_level(pending.table, pending.sql, timeout);
    } catch (const pg::Error &error) {
        if (is_cleaning_up)
            give_up(false);
        if (pending.action != Action::build)
            throw;
        failure_ = error;
        return;
    }
    done_.push_back({pg::qualified_name(pending.table.relid),
                     pending.name,
                     pending.action,
                     pg::ms_since(begun),
                     {1, report.waited_ms, report.blocked_by}});
}

// Has what a failed build left dropped, if it left anything, and raises the failure in the end.
void IndexBuild::clean_up(pg::Spi &spi)
{
    bool is_clean = false;
    try {
        is_clean = !prepare_drop(spi, members_[next_]);
    } catch (const pg::Error &) {
        give_up(false);
    }
    if (is_clean)
        give_up(true);
}

void IndexBuild::give_up(bool is_clean)
{
    pg::Error failure = *failure_;
    if (!is_clean && failure.hint.empty())
        failure.hint = "An unfinished index may be left; the next call drops it.";
    throw failure;
}

void IndexBuild::run_locked(pg::Spi &spi, const pg::OwnedTable &locked, int lockmode, const std::string &sql,
                            Done done)
{
    const TimestampTz begun = GetCurrentTimestamp();
    pg::OwnerScope owner(locked.owner);
    const auto failure = pg::try_with_locks({locked.relid}, done.wait, [&] {
        pg::lock_owned(locked, lockmode);
        spi.run(sql);
    });
    if (failure)
        pg::raise(*failure);
    done.ms = pg::ms_since(begun);
    done_.push_back(std::move(done));
}

// The index of a partitioned relation becomes valid with the attachment of the last that was missing. Where
// that partition went away instead, PostgreSQL has no statement for it.
void IndexBuild::require_valid(pg::Spi &spi)
{
    pg::CatalogPath path;
    const Oid index = index_of_.at(wish_.relid);
    pg::Rows rows =
        spi.run("SELECT indisvalid FROM pg_catalog.pg_index WHERE indexrelid = $1", {pg::oid_param(index)});
    if (rows.empty() || !rows.boolean(0, 1))
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "index \"" + pg::relation_name(index) +
                     "\" is not valid, although no partition lacks its own",
                 "A partition was removed before its index was attached, or the index of one is not valid.",
                 "Drop the index, and call again.");
}

} // namespace privacy_scan::index
