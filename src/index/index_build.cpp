// See index_build.hpp.
#include "pg/postgres.hpp"

#include "index/index_build.hpp"

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

namespace
{

double ms_since(TimestampTz begun)
{
    return static_cast<double>(GetCurrentTimestamp() - begun) / 1000.0;
}

} // namespace

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
        if (is_gone(spi, member))
            continue;
        const Site site = read_site(spi, member);
        const Step step = next_step(site);
        if (step.action != Action::none) {
            has_acted_ = true;
            act(spi, member, site, step);
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

// Dropped or detached since the pass began, or moved to where it has not been looked at. That the root is
// there and the caller's is required.
bool IndexBuild::is_gone(pg::Spi &spi, const Member &member)
{
    const Oid relid = member.table.relid;
    if (relid == wish_.relid) {
        pg::require_owner(relid);
        return false;
    }
    return index_of_.count(parent_of(spi, relid)) == 0;
}

Site IndexBuild::read_site(pg::Spi &spi, const Member &member)
{
    const Oid relid = member.table.relid;
    const bool is_root = relid == wish_.relid;
    const Oid parent_index = is_root ? InvalidOid : index_of_.at(parent_of(spi, relid));
    return {member.is_partitioned, is_root, parent_index, find_indexes(spi, relid, wish_)};
}

void IndexBuild::act(pg::Spi &spi, const Member &member, const Site &site, const Step &step)
{
    const Oid relid = member.table.relid;
    if (step.action == Action::drop) {
        prepare_drop(spi, member);
    } else if (step.action == Action::attach) {
        const pg::OwnedTable index{step.index, member.table.owner};
        run_locked(spi, index, AccessExclusiveLock, attach_sql(site.parent_index, step.index),
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

// While somebody builds it, his lock keeps us out; what is not valid after that is nobody's any more.
void IndexBuild::prepare_drop(pg::Spi &spi, const Member &member)
{
    pg::LockWait wait;
    pg::lock_in_tries(member.table, ShareUpdateExclusiveLock, wait);
    const Step step = next_step(read_site(spi, member));
    if (step.action == Action::drop)
        pending_ = Pending{member.table, step.action, pg::relation_name(step.index), drop_sql(step.index)};
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
            throw pg::Error(*failure_);
        if (pending.action != Action::build)
            throw;
        failure_ = error;
        return;
    }
    done_.push_back({pg::qualified_name(pending.table.relid),
                     pending.name,
                     pending.action,
                     ms_since(begun),
                     {1, report.waited_ms, report.blocked_by}});
}

// Throws what has failed, once what it left is gone, or where that can't be had now: the next run will.
void IndexBuild::clean_up(pg::Spi &spi)
{
    try {
        const Member &member = members_[next_];
        if (!is_gone(spi, member) && next_step(read_site(spi, member)).action == Action::drop)
            prepare_drop(spi, member);
    } catch (const pg::Error &) {
        throw pg::Error(*failure_);
    }
    if (!pending_)
        throw pg::Error(*failure_);
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
    done.ms = ms_since(begun);
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
