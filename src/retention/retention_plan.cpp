// See retention_plan.hpp.
#include "pg/postgres.hpp"

#include "retention/retention_plan.hpp"

#include "pg/analyze.hpp"
#include "pg/ident.hpp"
#include "pg/subxact.hpp"
#include "retention/emptied.hpp"
#include "retention/grace.hpp"

extern "C" {
#include <catalog/pg_class_d.h>
#include <catalog/pg_inherits.h>
#include <utils/lsyscache.h>
#include <utils/datetime.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::retention
{

namespace
{

// Bytes on disk that so many rows take on average, TOAST and indexes included.
std::int64_t estimate_bytes(pg::Spi &spi, Oid relid, std::int64_t rows)
{
    pg::Rows row =
        spi.run("SELECT coalesce(sum(pg_total_relation_size(oid)) / nullif(sum(greatest(reltuples, 0)), 0)"
                " * $2, 0)::bigint FROM pg_catalog.pg_class"
                " WHERE oid = $1 OR oid IN (SELECT relid FROM pg_catalog.pg_partition_tree($1) WHERE isleaf)",
                {pg::regclass_param(relid), pg::int8_param(rows)});
    return row.int8(0, 1);
}

// The same in every session.
std::string text_in_utc(std::int64_t instant)
{
    char text[MAXDATELEN + 1];
    struct pg_tm tm;
    fsec_t fsec;
    if (timestamp2tm(instant, nullptr, &tm, &fsec, nullptr, nullptr) != 0)
        return "?";
    EncodeDateTime(&tm, fsec, false, 0, nullptr, USE_ISO_DATES, text);
    return std::string(text) + " UTC";
}

std::string reason_of(const Work &work)
{
    std::string text = pg::quote(work.policy.key) + " before " + text_in_utc(work.cutoff.instant);
    return work.policy.condition.empty() ? text : text + " and " + work.policy.condition;
}

std::string reason_of_member(const Work &work, const Member &member)
{
    std::string text = "belongs to them through";
    for (const Link &link : member.links)
        text += (&link == &member.links.front() ? " " : ", ") + pg::quote(link.constraint);
    return member.links.empty() ? reason_of(work) : text;
}

// What becomes of rows, and of leaves that go whole.
std::string action_by_rows(const Work &work)
{
    return work.policy.discards() ? "discard" : "archive";
}

std::string action_whole(const Work &work)
{
    return work.policy.detaches() ? "detach" : action_by_rows(work) + " whole";
}

ActionRow action_of(const Work &work, const Member &member)
{
    return {member.table.relid,
            action_by_rows(work),
            work.policy.discards() ? std::string() : archive_name(member, work.policy.archive_schema),
            0,
            0,
            {},
            {},
            reason_of_member(work, member),
            0};
}

std::vector<ActionRow> spared_rows(const Work &work)
{
    std::vector<ActionRow> rows;
    for (const Spared &spared : work.family.spared)
        rows.push_back({spared.relid,
                        "keep",
                        {},
                        0,
                        0,
                        {},
                        {},
                        "its rows stay: " + pg::quote(spared.constraint) + " clears the reference",
                        0});
    return rows;
}

std::vector<ActionRow> held_rows(pg::Spi &spi, const Work &work)
{
    std::vector<ActionRow> rows;
    for (const Hold &hold : work.policy.holds) {
        const std::int64_t held =
            spi.run(work.sql.count_held(hold), {pg::datum_param(work.cutoff.type, work.cutoff.value)})
                .int8(0, 1);
        const std::string reason = "hold " + std::to_string(hold.id) + ": " + hold.reason;
        rows.push_back({work.policy.root, "keep", {}, held, 0, {}, {}, reason, 0});
    }
    return rows;
}

std::vector<ActionRow> dropped_rows(pg::Spi &spi, const Work &work)
{
    std::vector<ActionRow> rows;
    for (const DetachedTable &table : tables_past_grace(spi, work.policy, work.at))
        rows.push_back({table.relid,
                        table.held_by.empty() ? "drop" : "keep",
                        {},
                        table.rows,
                        0,
                        {},
                        {},
                        table.held_by.empty() ? "its grace period has ended" : table.held_by,
                        0});
    return rows;
}

std::vector<ActionRow> empty_rows(const Work &work)
{
    std::vector<ActionRow> rows;
    for (auto member = work.family.members.rbegin(); member != work.family.members.rend(); ++member)
        rows.push_back(action_of(work, *member));
    for (ActionRow &row : spared_rows(work))
        rows.push_back(std::move(row));
    return rows;
}

} // namespace

namespace
{

struct CountedLeaf {
    const Leaf *leaf;
    LeafCount count;
    bool with_root;      // goes with its window of whole families
    bool alone;          // goes with the roots that it refers to
    std::string because; // rows stay, and it doesn't go whole
};

void judge_family(pg::Spi &spi, const Work &work, const Window &window, std::vector<CountedLeaf> &counted)
{
    std::vector<LeafCount> counts;
    std::vector<CountedLeaf *> parts;
    for (CountedLeaf &part : counted)
        for (const Leaf &leaf : window.leaves)
            if (leaf.table.relid == part.leaf->table.relid) {
                parts.push_back(&part);
                counts.push_back(part.count);
            }
    const Verdict verdict = judge(spi, work, window, counts);
    for (CountedLeaf *part : parts) {
        part->with_root = verdict.goes;
        part->because = verdict.why;
    }
}

void judge_alone(pg::Spi &spi, const Work &work, CountedLeaf &counted)
{
    const Verdict verdict = judge(spi, work, {{*counted.leaf}}, {counted.count});
    counted.alone = verdict.goes;
    counted.because = verdict.why;
}

std::vector<CountedLeaf> count_leaves(pg::Spi &spi, const Work &work, const std::vector<Leaf> &leaves)
{
    std::vector<CountedLeaf> counted;
    for (const Leaf &leaf : leaves)
        counted.push_back({&leaf, count_leaf(spi, work, leaf), false, false, {}});
    for (const Window &window : family_windows(leaves))
        judge_family(spi, work, window, counted);
    for (CountedLeaf &part : counted)
        if (part.leaf->alone && !part.with_root && part.leaf->obstacle.empty())
            judge_alone(spi, work, part);
    return counted;
}

// Why a leaf goes row by row; empty: it goes whole.
std::string why_by_rows(const CountedLeaf &counted)
{
    const std::int64_t staying = counted.count.rows - counted.count.expired;
    if (!counted.leaf->obstacle.empty())
        return "row by row: " + counted.leaf->obstacle;
    if (counted.with_root || counted.alone)
        return {};
    if (staying > 0)
        return "row by row: " + std::to_string(staying) + " of its rows stay" +
               (counted.because.empty() ? "" : ", " + counted.because);
    return "row by row: rows of the partitions that it belongs together with stay";
}

std::string why_whole(const CountedLeaf &counted)
{
    const std::int64_t staying = counted.count.rows - counted.count.expired;
    if (staying == 0)
        return counted.with_root ? "its whole window of families goes" : "all of its rows belong to roots that go";
    return (counted.with_root ? "its window of families goes, but for " : "its rows belong to roots that go, but for ") +
           std::to_string(staying) + (counted.with_root ? " of its rows" : " of them") +
           ", so few that they are moved out of the way";
}

// The member's leaves that could go whole, and how many of its expired rows are in them.
std::int64_t add_leaves(pg::Spi &spi, const Work &work, const std::vector<CountedLeaf> &leaves,
                        std::size_t member, std::vector<ActionRow> &rows)
{
    std::int64_t expired = 0;
    for (const CountedLeaf &counted : leaves) {
        const std::int64_t going = counted.count.expired;
        if (counted.leaf->member != member || going == 0)
            continue;
        expired += going;
        const std::string reason = why_by_rows(counted);
        ActionRow row = action_of(work, work.family.members[member]);
        row.relid = counted.leaf->table.relid;
        row.action = reason.empty() ? action_whole(work) : action_by_rows(work);
        row.rows = going;
        row.bytes = estimate_bytes(spi, row.relid, going);
        row.reason = reason.empty() ? why_whole(counted) : reason;
        rows.push_back(std::move(row));
    }
    return expired;
}

} // namespace

std::vector<ActionRow> plan_rows(pg::Spi &spi, const Work &work)
{
    pg::OwnerScope owner(work.family.root().table.owner);
    std::vector<ActionRow> rows;
    const std::vector<pg::Param> cutoff = {pg::datum_param(work.cutoff.type, work.cutoff.value)};
    const std::vector<Leaf> chosen = choose_leaves(spi, work);
    const std::vector<CountedLeaf> leaves = count_leaves(spi, work, chosen);
    pg::Rows roots = spi.run(work.sql.count_expired(work.family.root()), cutoff);
    for (std::size_t i = work.family.members.size(); i-- > 0;) {
        const Member &member = work.family.members[i];
        const std::int64_t in_leaves = add_leaves(spi, work, leaves, i, rows);
        ActionRow row = action_of(work, member);
        row.rows = (member.links.empty() ? roots.int8(0, 1)
                                         : spi.run(work.sql.count_expired(member), cutoff).int8(0, 1)) -
                   in_leaves;
        row.bytes = estimate_bytes(spi, member.table.relid, row.rows);
        rows.push_back(std::move(row));
    }
    for (ActionRow &row : rows) {
        row.key_from = roots.text(0, 2);
        row.key_to = roots.text(0, 3);
    }
    for (ActionRow &row : held_rows(spi, work))
        rows.push_back(std::move(row));
    for (ActionRow &row : dropped_rows(spi, work))
        rows.push_back(std::move(row));
    for (ActionRow &row : spared_rows(work))
        rows.push_back(std::move(row));
    return rows;
}

std::vector<ActionRow> emptied_rows(pg::Spi &spi, const Work &work)
{
    std::vector<ActionRow> rows;
    for (const Emptied &emptied : find_emptied(spi, work))
        if (!emptied.has_pages)
            rows.push_back(
                {emptied.table.relid, "drop", {}, 0, 0, {}, {}, "it is empty, and older than the cutoff", 0});
    return rows;
}

Summary::Summary(const Work &work)
    : rows_(empty_rows(work)), leaves_(work.family.members.size()), whole_(work.family.members.size())
{
}

void Summary::add(const Batch &batch)
{
    roots_ += batch.roots;
    for (const Moved &moved : batch.moved) {
        auto same = [&](const ActionRow &row) { return row.relid == moved.relid; };
        const auto i =
            static_cast<std::size_t>(std::find_if(rows_.begin(), rows_.end(), same) - rows_.begin());
        ActionRow &row = rows_[i];
        row.rows += moved.rows;
        row.bytes += moved.bytes;
        row.ms += moved.ms;
        whole_[i] += moved.whole.empty() ? 0 : moved.rows;
        for (Oid leaf : moved.leaves)
            if (std::find(leaves_[i].begin(), leaves_[i].end(), leaf) == leaves_[i].end())
                leaves_[i].push_back(leaf);
        if (row.key_from.empty())
            row.key_from = batch.key_from;
        row.key_to = batch.key_to;
    }
}

std::vector<Oid> Summary::leaves(std::size_t row) const
{
    std::vector<Oid> leaves;
    for (const Oid leaf : leaves_[row])
        if (leaf == rows_[row].relid || pg::guarded([=] { return get_rel_relispartition(leaf); }))
            leaves.push_back(leaf);
    return leaves;
}

void put(pg::RowSink &sink, const ActionRow &row)
{
    using pg::cell;
    auto is = [&](std::initializer_list<const char *> actions) {
        return std::find(actions.begin(), actions.end(), row.action) != actions.end();
    };
    const std::string lock = is({"archive", "restore", "discard"})                      ? "ROW EXCLUSIVE"
                             : is({"archive whole", "discard whole", "detach", "drop"}) ? "ACCESS EXCLUSIVE"
                                                                                        : "";
    sink.put({pg::cell_oid(row.relid), cell(row.action), cell(row.target), cell(row.rows), cell(row.bytes),
              cell(lock), cell(row.key_from), cell(row.key_to), cell(row.reason), cell(row.ms)});
}

namespace
{

void analyze_one(pg::Spi &spi, Oid relid, bool whole)
{
    auto failure = pg::try_in_subtransaction([&] {
        const std::string name = pg::qualified_name(relid);
        if (whole || !pg::analyze_alone(spi, relid))
            spi.run("ANALYZE " + name);
    });
    if (!failure)
        return;
    const std::string name = pg::qualified_name(relid);
    const char *relation = name.c_str(), *code = failure->sqlstate.c_str(),
               *message = failure->message.c_str();
    pg::guarded(
        [=] { ereport(WARNING, (errmsg("%s was not analyzed: SQLSTATE %s: %s", relation, code, message))); });
}

// An archive of many tables: leaves bring their statistics along, and to sample all of them anew for the rows of one run is
// dear. What comes to the archive itself, autovacuum sees.
bool has_children(Oid archive)
{
    return pg::guarded([=] { return get_rel_relkind(archive) == RELKIND_RELATION && has_subclass(archive); });
}

} // namespace

void analyze(pg::Spi &spi, const Work &work, const Summary &summary)
{
    pg::OwnerScope owner(work.family.root().table.owner);
    const std::vector<Member> &members = work.family.members;
    for (std::size_t i = 0; i < members.size(); ++i) {
        const Member &member = members[members.size() - 1 - i];
        if (summary.rows()[i].rows == 0)
            continue;
        std::vector<Oid> leaves = summary.leaves(i);
        std::sort(leaves.begin(), leaves.end()); // two runs take the locks in one order
        for (Oid leaf : leaves)
            if (leaf != member.table.relid)
                analyze_one(spi, leaf, true);
        analyze_one(spi, member.table.relid, !summary.knows_leaves(i) && !summary.only_whole(i));
        const Oid archive =
            work.policy.discards() ? InvalidOid : archive_oid(member, work.policy.archive_schema);
        if (!summary.only_whole(i) && OidIsValid(archive) && !has_children(archive))
            analyze_one(spi, archive, true);
    }
}

} // namespace privacy_scan::retention
