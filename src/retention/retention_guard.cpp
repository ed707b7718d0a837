// See retention_guard.hpp.
#include "pg/postgres.hpp"

#include "retention/retention_guard.hpp"

#include "partition/partition_policy.hpp"
#include "pg/ident.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <utils/timestamp.h>
}

namespace privacy_scan::retention
{

namespace
{

constexpr std::int64_t days_31 = 31 * USECS_PER_DAY;

// The width of a leaf by its bounds, where they are times.
std::int64_t width_of(pg::Spi &spi, const Work &work, const Leaf &leaf)
{
    const Oid parent = work.family.members[leaf.member].table.relid;
    const partition::PartitionKey key = pg::guarded([=] { return partition::partition_key(parent); });
    const std::optional<partition::Policy> managed = partition::find_policy(spi, parent);
    const std::string kind = managed ? managed->key_kind : std::string();
    const bool is_time = key.type == TIMESTAMPOID || key.type == TIMESTAMPTZOID || key.type == DATEOID;
    if (key.columns != 1 || (!is_time && kind.empty()))
        return days_31;
    const partition::KeyAxis axis(key.type, partition::utc_zone(), kind, key.collation);
    const partition::Layout layout = partition::read_layout(parent, axis);
    for (std::size_t i = 0; i < layout.partitions.size(); ++i) {
        const partition::Cell &cell = layout.taken[i];
        if (layout.partitions[i] == leaf.table.relid && cell.lower != partition::axis_min &&
            cell.upper != partition::axis_max)
            return cell.upper - cell.lower;
    }
    return days_31;
}

// One row: the newest root's instant, and the same as text.
std::string newest_root(const Work &work)
{
    const std::string key = "t." + pg::quote(work.policy.key), kind = work.policy.key_kind;
    const std::string from = " FROM " + work.family.root().from + " AS t WHERE ";
    if (kind.empty())
        return "SELECT max(" + key + ")::timestamptz, max(" + key + ")::text" + from + "isfinite(" + key +
               ")";
    return "SELECT max(n.at), max(n.at AT TIME ZONE 'UTC')::text FROM (SELECT privacy_scan.key_instant(" +
           pg::quote_text(kind) + ", " + key + "::text) AS at" + from + partition::fits_kind(kind, key) +
           " ORDER BY " + key + " DESC LIMIT 1) AS n";
}

struct Newest {
    std::optional<std::int64_t> instant; // none: the root is empty
    std::string text;
};

Newest newest_key(pg::Spi &spi, const Work &work)
{
    const pg::Rows rows = spi.run(newest_root(work));
    if (rows.is_null(0, 1))
        return {};
    return {rows.int8(0, 1), rows.text(0, 2)};
}

// So few may go row by row unasked.
constexpr std::int64_t least_guarded_roots = 1000;

std::int64_t count_expired(pg::Spi &spi, const Work &work)
{
    return spi
        .run(work.sql.count_expired(work.family.root()), {pg::datum_param(work.cutoff.type, work.cutoff.value)})
        .int8(0, 1);
}

// Where nothing goes whole privacy_scan.retention_quiet_days says how old is too old.
void check_clock(pg::Spi &spi, const Work &work, const std::vector<Window> &windows, std::int64_t at)
{
    const int days = settings::retention_quiet_days();
    if (windows.empty() && days == 0)
        return;
    const Newest newest = newest_key(spi, work);
    std::int64_t width = windows.empty() ? days * USECS_PER_DAY : 0;
    for (const Window &window : windows)
        width = std::max(width, width_of(spi, work, window.leaves.front()));
    if (!newest.instant || *newest.instant >= at - width ||
        (windows.empty() && count_expired(spi, work) < least_guarded_roots))
        return;
    pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
             "the newest row of " + work.family.root().name + " is more than " +
                 (windows.empty() ? std::to_string(days) + " days" : "one partition's width") + " old",
             "Its key is " + newest.text + " UTC. A clock that runs ahead would look the same.",
             "If the clock is right, say force => true.");
}

// Since the policy takes what it takes; before, it may have taken less.
bool is_first_run(pg::Spi &spi, Oid root)
{
    pg::CatalogScope scope;
    return spi
        .run("SELECT FROM privacy_scan.archive_ledger WHERE root = $1 AND action IN ('archive', 'discard') AND archived_at >="
             " (SELECT set_at FROM privacy_scan.retention_rules WHERE root = $1) LIMIT 1",
             {pg::regclass_param(root)})
        .empty();
}

[[noreturn]] void refuse_half(const std::string &relation)
{
    pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
             "the first run of this policy would remove more than half of " + relation,
             "It is the first since set_retention() said what goes.",
             "Look at plan_retention(); if that is meant, say confirm => true.");
}

void check_half(pg::Spi &spi, const Work &work, const std::vector<Window> &windows)
{
    const Member &root = work.family.root();
    const std::int64_t expired = count_expired(spi, work);
    const bool is_guarded = !windows.empty() || expired >= least_guarded_roots;
    if (is_guarded && 2 * expired > spi.run("SELECT count(*) FROM " + root.from).int8(0, 1))
        refuse_half(root.name);
    for (std::size_t i = 0; i < work.family.members.size(); ++i) {
        std::int64_t going = 0;
        for (const Window &window : windows)
            for (const Leaf &leaf : window.leaves)
                if (leaf.member == i)
                    going += spi.run("SELECT pg_relation_size($1)", {pg::regclass_param(leaf.table.relid)})
                                 .int8(0, 1);
        const Member &member = work.family.members[i];
        if (going > 0 &&
            2 * going > spi.run("SELECT sum(pg_relation_size(relid))::bigint FROM pg_partition_tree($1)"
                                " WHERE isleaf",
                                {pg::regclass_param(member.table.relid)})
                            .int8(0, 1))
            refuse_half(member.name);
    }
}

} // namespace

void check_guards(pg::Spi &spi, const Work &work, const std::vector<Window> &windows, std::int64_t at,
                  Said said)
{
    if (!said.force)
        check_clock(spi, work, windows, at);
    if (!said.confirm && is_first_run(spi, work.policy.root))
        check_half(spi, work, windows);
}

void check_quiet(pg::Spi &spi, const Work &work, std::int64_t at)
{
    const int days = settings::retention_quiet_days();
    if (days == 0)
        return;
    pg::OwnerScope owner(work.family.root().table.owner);
    const Newest newest = newest_key(spi, work);
    if (!newest.instant || *newest.instant >= at - days * USECS_PER_DAY)
        return;
    pg::fail(
        ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        "the newest row of " + work.family.root().name + " is more than " + std::to_string(days) +
            " days old",
        "Its key is " + newest.text + " UTC. A clock that runs ahead would look the same.",
        "If the clock is right, call privacy_scan.run_retention() or set privacy_scan.retention_quiet_days.");
}

} // namespace privacy_scan::retention
