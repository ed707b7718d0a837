// See leaf_choice.hpp.
#include "pg/postgres.hpp"

#include "retention/leaf_choice.hpp"

#include "pg/compat.hpp"
#include "pg/ident.hpp"
#include "pg/relation.hpp"
#include "retention/alignment.hpp"
#include "retention/condition.hpp"
#include "retention/leaf_pages.hpp"
#include "retention/publication.hpp"
#include "retention/refuge.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <catalog/pg_partitioned_table.h>
#include <partitioning/partbounds.h>
}

namespace privacy_scan::retention
{

namespace
{

// The partitions of a relation by their bounds, DEFAULT left out; none where it isn't partitioned by range.
std::vector<Oid> ordered_partitions(Oid relid)
{
    const pg::RelationScope relation(relid, AccessShareLock);
    std::vector<Oid> relids;
    const PartitionDesc desc = pg::guarded([&] {
        const bool partitioned = relation.get()->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
        return partitioned ? pg::compat::partition_desc(relation.get()) : nullptr;
    });
    if (!desc || !desc->boundinfo || desc->boundinfo->strategy != PARTITION_STRATEGY_RANGE)
        return relids;
    for (int i = 0; i < desc->nparts; ++i)
        if (desc->is_leaf[i] && i != desc->boundinfo->default_index)
            relids.push_back(desc->oids[i]);
    return relids;
}

// $1 the leaf, $2 its parent.
constexpr char about_leaf[] =
    "SELECT format('%I.%I', n.nspname, c.relname), pg_get_expr(c.relpartbound, c.oid), c.relowner,"
    " CASE WHEN c.reltuples > 0 AND c.relpages > 0"
    "  THEN c.reltuples::float8 / c.relpages * (pg_relation_size(c.oid) / "
    "current_setting('block_size')::float8)"
    "  ELSE pg_relation_size(c.oid) / 100.0 END::float8,"
    " CASE WHEN c.relowner <> p.relowner THEN 'it has another owner than its parent'"
    "  WHEN c.relpersistence <> 'p' THEN 'it is unlogged'"
    "  WHEN m.amname <> 'heap' THEN 'its access method is not heap'"
    "  WHEN c.relrowsecurity OR p.relrowsecurity THEN 'it has row-level security'"
    "  WHEN EXISTS (SELECT FROM pg_catalog.pg_publication_rel WHERE prrelid = c.oid) THEN 'it is in a publication by itself'"
    "  WHEN EXISTS (SELECT FROM pg_catalog.pg_attribute"
    "   WHERE attrelid = c.oid AND attgenerated <> '' AND NOT attisdropped) THEN 'it has generated columns'"
    "  WHEN EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE confrelid = c.oid AND contype = 'f'"
    "   AND conparentid = 0) THEN 'a foreign key refers to the partition by itself'"
    " ELSE '' END"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " JOIN pg_catalog.pg_am m ON m.oid = c.relam, pg_catalog.pg_class p WHERE c.oid = $1 AND p.oid = $2";

// What stands in the way of more than one leaf.
struct Obstacles {
    std::string family;
    Alignment alignment;
};

// Of the whole family: its rows go without triggers.
std::string obstacle_in_family(pg::Spi &spi, const Work &work)
{
    if (has_user_triggers(spi, work, {}))
        return "a trigger or rule of the family would be passed by";
    if (work.family.root().has_spared)
        return "references to the root have to be cleared";
    if (work.policy.discards())
        return {};
    return obstacle_in_archive(spi, work.family.root(),
                               archive_oid(work.family.root(), work.policy.archive_schema));
}

// With the roots that its rows refer to, row by row these.
bool goes_alone(const Member &member)
{
    return !member.leaves.empty() && !member.has_children && !member.has_spared;
}

std::string obstacle_in_pages(Oid relid)
{
    const pg::RelationScope leaf(relid, AccessShareLock);
    const BlockNumber unmarked = pg::guarded([&] { return count_unmarked_pages(leaf.get()); });
    return unmarked <= most_page_marks
               ? std::string()
               : std::to_string(unmarked) + " of its pages are not all-visible, VACUUM it";
}

// Those without rows are left out, but for those that may be part of a window of whole families.
void choose_of_member(pg::Spi &spi, const Work &work, std::size_t index, const Obstacles &obstacles,
                      std::vector<Leaf> &leaves)
{
    const Member &member = work.family.members[index];
    const std::string &key = obstacles.alignment.keys[index];
    const bool alone = goes_alone(member), is_partner = index > 0 && !key.empty();
    const std::string in_archive = obstacle_in_archive(
        spi, member,
        work.policy.keeps_leaves() ? archive_oid(member, work.policy.archive_schema) : InvalidOid);
    const std::vector<Oid> relids = ordered_partitions(member.table.relid);
    const std::size_t begin = leaves.size();
    int newer = 0;
    for (auto relid = relids.rbegin(); relid != relids.rend(); ++relid) {
        pg::Rows row = spi.run_kept(about_leaf, {pg::oid_param(*relid), pg::oid_param(member.table.relid)});
        const bool has_rows = !row.empty() && row.float8(0, 4) > 0;
        if (row.empty() || (!has_rows && !is_partner))
            continue;
        Leaf leaf{{*relid, row.oid(0, 3)}, index, row.text(0, 1), row.text(0, 2), row.float8(0, 4), {}, key,
                  alone && has_rows};
        const bool is_newest = has_rows && newer++ < settings::retention_keep_partitions();
        for (const std::string &reason :
             {is_newest ? std::string("it is one of the newest partitions with rows") : std::string(),
              obstacles.family, row.text(0, 5),
              is_published(spi, *relid, Change::remove) ? std::string("a publication would not tell its subscribers")
                                                        : std::string(),
              in_archive,
              obstacle_in_pages(*relid)})
            if (leaf.obstacle.empty())
                leaf.obstacle = reason;
        leaves.push_back(leaf);
    }
    std::reverse(leaves.begin() + static_cast<std::ptrdiff_t>(begin), leaves.end());
}

// The leaves that a leaf of the root takes along, children before parents.
std::vector<Leaf> partners_of(const std::vector<Leaf> &leaves, const Leaf &of_root)
{
    std::vector<Leaf> partners;
    for (const Leaf &leaf : leaves)
        if (leaf.member != 0 && !leaf.key.empty() && leaf.bounds == of_root.bounds)
            partners.push_back(leaf);
    std::reverse(partners.begin(), partners.end());
    return partners;
}

// What keeps a partner keeps the root's leaf, and so does one that is missing: its rows may be in DEFAULT.
void add_obstacles_of_partners(const Work &work, const Alignment &alignment, std::vector<Leaf> &leaves)
{
    for (Leaf &leaf : leaves) {
        if (leaf.member != 0 || !leaf.obstacle.empty())
            continue;
        leaf.obstacle = alignment.obstacle;
        const std::vector<Leaf> partners = partners_of(leaves, leaf);
        for (const Leaf &partner : partners)
            if (leaf.obstacle.empty() && !partner.obstacle.empty())
                leaf.obstacle = "of " + partner.name + ": " + partner.obstacle;
        for (std::size_t i = 1; i < work.family.members.size(); ++i) {
            auto is_of = [=](const Leaf &partner) { return partner.member == i; };
            if (leaf.obstacle.empty() && alignment.lines_up(i) &&
                std::none_of(partners.begin(), partners.end(), is_of))
                leaf.obstacle = work.family.members[i].name + " has no partition of its bounds";
        }
    }
}

// Leaves that have few rows together with those of the same bounds: a strong lock would cost more than the
// rows.
void drop_small(std::vector<Leaf> &leaves)
{
    const std::vector<Leaf> all = leaves;
    auto is_small = [&](const Leaf &leaf) {
        double rows = 0;
        for (const Leaf &other : all)
            if (other.bounds == leaf.bounds)
                rows += other.rows;
        return rows < settings::retention_whole_rows();
    };
    leaves.erase(std::remove_if(leaves.begin(), leaves.end(), is_small), leaves.end());
}

const Link::Column &pair_of(const Work &work, const Leaf &leaf)
{
    return work.family.members[leaf.member].links.front().columns.front();
}

} // namespace

std::string obstacle_in_conditions(const Work &work)
{
    const Oid root = work.family.root().table.relid;
    bool looks_elsewhere = may_look_elsewhere(root, work.policy.condition);
    for (const Hold &hold : work.policy.holds)
        looks_elsewhere = looks_elsewhere || may_look_elsewhere(root, hold.condition);
    return looks_elsewhere ? "a condition calls a function that may look at other rows" : "";
}

std::string obstacle_in_archive(pg::Spi &spi, const Member &member, Oid archive)
{
    if (!OidIsValid(archive))
        return {};
    pg::Rows row =
        spi.run_kept("SELECT relkind = 'r' AND relpersistence = 'p' AND NOT relispartition AND NOT relhasrules"
                     "  AND NOT relhastriggers AND relchecks = 0,"
                     " NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0"
                     "  AND NOT a.attisdropped AND (a.attnotnull OR a.attgenerated <> '' OR NOT EXISTS"
                     "   (SELECT FROM pg_catalog.pg_attribute s WHERE s.attrelid = $2 AND s.attname = a.attname"
                     "    AND NOT s.attisdropped AND (s.atttypid, s.atttypmod, s.attcollation) ="
                     "     (a.atttypid, a.atttypmod, a.attcollation))))"
                     " FROM pg_catalog.pg_class WHERE oid = $1",
                     {pg::oid_param(archive), pg::oid_param(member.table.relid)});
    if (!row.boolean(0, 1))
        return "the archive has rules for its rows";
    return row.boolean(0, 2) ? std::string() : "the archive has other columns, or refuses NULL";
}

std::vector<Leaf> choose_leaves(pg::Spi &spi, const Work &work)
{
    std::vector<Leaf> leaves;
    if (settings::retention_whole_rows() == 0)
        return leaves;
    Obstacles obstacles{obstacle_in_family(spi, work), read_alignment(spi, work.family)};
    if (obstacles.alignment.obstacle.empty())
        obstacles.alignment.obstacle = obstacle_in_conditions(work);
    for (std::size_t i = 0; i < work.family.members.size(); ++i)
        if (i == 0 || obstacles.alignment.lines_up(i) || goes_alone(work.family.members[i]))
            choose_of_member(spi, work, i, obstacles, leaves);
    drop_small(leaves);
    add_obstacles_of_partners(work, obstacles.alignment, leaves);
    return leaves;
}

const Leaf *Window::find(std::size_t member) const
{
    auto found =
        std::find_if(leaves.begin(), leaves.end(), [=](const Leaf &leaf) { return leaf.member == member; });
    return found == leaves.end() ? nullptr : &*found;
}

std::vector<Window> family_windows(const std::vector<Leaf> &leaves)
{
    std::vector<Window> windows;
    for (const Leaf &leaf : leaves) {
        if (leaf.member != 0 || !leaf.obstacle.empty())
            continue;
        windows.push_back({partners_of(leaves, leaf)});
        windows.back().leaves.push_back(leaf);
    }
    return windows;
}

std::vector<Window> windows_of(const Work &work, const std::vector<Leaf> &leaves)
{
    std::vector<Window> windows;
    for (const Leaf &leaf : leaves) {
        if (!leaf.obstacle.empty() || !leaf.alone)
            continue;
        auto fits = [&](const Window &window) {
            const Leaf &first = window.leaves.front();
            return first.bounds == leaf.bounds && first.member != leaf.member &&
                   pair_of(work, first).parent == pair_of(work, leaf).parent;
        };
        auto found = std::find_if(windows.begin(), windows.end(), fits);
        if (found == windows.end())
            windows.push_back({{leaf}});
        else
            found->leaves.push_back(leaf);
    }
    return windows;
}

bool has_expired(pg::Spi &spi, const Work &work, const Leaf &leaf)
{
    return spi.run(work.sql.has_only_expired(leaf.name), {pg::datum_param(work.cutoff.type, work.cutoff.value)})
        .boolean(0, 1);
}

bool seems_to_go(pg::Spi &spi, const Work &work, const Leaf &leaf)
{
    const Member &member = work.family.members[leaf.member];
    const pg::Param cutoff = pg::datum_param(work.cutoff.type, work.cutoff.value);
    const pg::Rows sample = spi.run(work.sql.sample_leaf(member, leaf.name), {cutoff});
    if (sample.boolean(0, 1) || !sample.boolean(0, 2))
        return sample.boolean(0, 1);
    const auto rows = static_cast<std::int64_t>(leaf.rows);
    const std::int64_t staying =
        spi.run(work.sql.count_staying(member, leaf.name), {cutoff, pg::int8_param(most_that_stay + 1)}).int8(0, 1);
    return judge(spi, work, {{leaf}}, {{rows, rows - staying}}).goes;
}

LeafCount count_leaf(pg::Spi &spi, const Work &work, const Leaf &leaf)
{
    const std::string sql = leaf.member == 0
                                ? work.sql.count_roots(leaf.name)
                                : work.sql.count_leaf(work.family.members[leaf.member], leaf.name);
    pg::Rows row = spi.run(sql, {pg::datum_param(work.cutoff.type, work.cutoff.value)});
    return {row.int8(0, 1), row.int8(0, 2)};
}

Verdict judge(pg::Spi &spi, const Work &work, const Window &window, const std::vector<LeafCount> &counts)
{
    LeafCount all{0, 0};
    for (const LeafCount &count : counts)
        all = {all.rows + count.rows, all.expired + count.expired};
    if (all.expired == all.rows || all.expired == 0)
        return {all.expired > 0, {}};
    if (!are_few(all.rows - all.expired, all.expired))
        return {false, "too many to be moved out of the way"};
    for (const Leaf &leaf : window.leaves) {
        const std::string obstacle = obstacle_to_refuge(spi, work.family.members[leaf.member], leaf);
        if (!obstacle.empty())
            return {false, obstacle};
    }
    return {true, {}};
}

} // namespace privacy_scan::retention
