// See family_window.hpp.
#include "pg/postgres.hpp"

#include "retention/family_window.hpp"

#include "partition/partition_create.hpp"
#include "pg/ident.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <catalog/pg_collation_d.h>
}

namespace privacy_scan::retention
{

namespace
{

const Leaf &leaf_of_root(const Window &window)
{
    return window.leaves.back();
}

// Partitions come, go and change their bounds between the choice and the lock, which keeps them as they are.
void require_in_place(pg::Spi &spi, const Work &work, const Window &window)
{
    for (const Leaf &leaf : window.leaves)
        if (spi.run("SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid"
                    " WHERE c.oid = $1 AND i.inhparent = $2 AND c.relispartition"
                    " AND pg_get_expr(c.relpartbound, c.oid) = $3",
                    {pg::oid_param(leaf.table.relid),
                     pg::oid_param(work.family.members[leaf.member].table.relid),
                     pg::text_param(leaf.bounds)})
                .empty())
            by_rows(leaf.name + " is no partition with these bounds any more");
}

// Only an order of the system's libraries changes: times, numbers and bytes keep theirs.
bool may_change_order(pg::Spi &spi, const Leaf &leaf)
{
    return spi
        .run("SELECT attcollation NOT IN (0, $3) OR atttypid = 'jsonb'::regtype FROM pg_catalog.pg_attribute"
             " WHERE attrelid = $1 AND attname = $2::name",
             {pg::oid_param(leaf.table.relid), pg::text_param(leaf.key), pg::oid_param(C_COLLATION_OID)})
        .boolean(0, 1);
}

// $1 the leaf, $2 what its foreign key refers to, $3 its partition key. A NULL sets a key aside; in the partition key there is none.
constexpr const char *proven_key =
    "SELECT coalesce(bool_and(k.convalidated"
    "  AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)"
    "   AND a.attname <> $3 AND (NOT a.attnotnull OR EXISTS (SELECT FROM pg_catalog.pg_constraint n"
    "    WHERE n.conrelid = k.conrelid AND n.contype = 'n' AND n.conkey = ARRAY[a.attnum] AND NOT n.convalidated)))),"
    " false) FROM pg_catalog.pg_constraint k WHERE k.conrelid = $1 AND k.contype = 'f' AND k.confrelid = $2";

// Does a leaf's foreign key hold for each of its rows?
bool has_proven_key(pg::Spi &spi, const Work &work, const Leaf &leaf)
{
    const Link &link = work.family.members[leaf.member].links.front();
    return spi
        .run(proven_key, {pg::oid_param(leaf.table.relid), pg::oid_param(work.family.members[link.parent].table.relid),
                          pg::text_param(leaf.key)})
        .boolean(0, 1);
}

// Are rows of the window compared with foreign keys, on both sides? Not by disabled triggers, nor where they come or go by a
// subscription.
bool enforces_keys(pg::Spi &spi, const Window &window)
{
    std::vector<Oid> leaves;
    for (const Leaf &leaf : window.leaves)
        leaves.push_back(leaf.table.relid);
    return spi
        .run("SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_trigger"
             "  WHERE tgrelid = ANY ($1) AND tgisinternal AND tgenabled NOT IN ('O', 'A'))"
             " AND NOT EXISTS (SELECT FROM pg_catalog.pg_subscription_rel WHERE srrelid = ANY ($1)"
             "  OR srrelid IN (SELECT inhparent FROM pg_catalog.pg_inherits WHERE inhrelid = ANY ($1)))",
             {pg::oids_param(leaves)})
        .boolean(0, 1);
}

// Is the root of every row of the window in the window, whatever its rows are?
bool holds_by_bounds(pg::Spi &spi, const Work &work, const Window &window)
{
    auto is_proven = [&](const Leaf &leaf) { return leaf.member == 0 || has_proven_key(spi, work, leaf); };
    return !may_change_order(spi, leaf_of_root(window)) && enforces_keys(spi, window) &&
           std::all_of(window.leaves.begin(), window.leaves.end(), is_proven);
}

void leave_unread(std::vector<CheckedLeaf> &leaves)
{
    for (CheckedLeaf &checked : leaves) {
        if (!partition::has_no_blocks(checked.leaf->table.relid))
            continue;
        remember_pages(checked); // nothing may come to it: its root goes
        checked.stays = checked.pages->blocks == 0;
    }
}

void read_rows(std::vector<CheckedLeaf> &leaves)
{
    for (CheckedLeaf &checked : leaves)
        if (!checked.pages)
            remember_pages(checked);
    for (CheckedLeaf &checked : leaves) {
        read_total(checked);
        checked.stays = checked.rows == 0;
    }
}

// True of a row of the leaf, alias t, that goes with its root: the root's leaf has it, by way of the others.
std::string goes_in(const Work &work, const Window &window, const Leaf &leaf)
{
    if (leaf.member == 0)
        return work.sql.has_expired();
    const Member &member = work.family.members[leaf.member];
    const Leaf &parent = *window.find(member.links.front().parent);
    return work.sql.has_parent_in(member, "(SELECT t.* FROM ONLY " + parent.name + " AS t WHERE " +
                                              goes_in(work, window, parent) + ")");
}

std::vector<LeafCount> count_going(pg::Spi &spi, const Work &work, const Window &window,
                                   const std::vector<CheckedLeaf> &leaves)
{
    std::vector<LeafCount> counts;
    for (const CheckedLeaf &checked : leaves) {
        const std::string sql = "SELECT count(*) FROM ONLY " + checked.leaf->name + " AS t WHERE " +
                                goes_in(work, window, *checked.leaf);
        pg::Rows row = spi.run(sql, {pg::datum_param(work.cutoff.type, work.cutoff.value)});
        counts.push_back({checked.rows, row.int8(0, 1)});
    }
    return counts;
}

// Few rows that stay are moved out of the way.
void make_refuges(pg::Spi &spi, const Work &work, const std::vector<ArchiveTable> &archives,
                  const Window &window, std::vector<CheckedLeaf> &leaves)
{
    const std::vector<LeafCount> counts = count_going(spi, work, window, leaves);
    const Verdict verdict = judge(spi, work, window, counts);
    if (!verdict.goes)
        by_rows(verdict.why.empty() ? "none of its rows goes" : "rows of its window stay, " + verdict.why);
    for (std::size_t i = 0; i < leaves.size(); ++i) {
        CheckedLeaf &checked = leaves[i];
        checked.stays = counts[i].expired == 0;
        if (!checked.stays && counts[i].expired < counts[i].rows)
            checked.refuge = make_refuge(spi, work, *checked.leaf, archives[checked.leaf->member].columns,
                                         {"(" + goes_in(work, window, *checked.leaf) + ") IS NOT TRUE",
                                          {pg::datum_param(work.cutoff.type, work.cutoff.value)}});
    }
}

// Names the other partitions of the leaf's set that hold keys between the least and the greatest of the
// roots'.
std::string probe_of(const std::vector<std::string> &others, const Leaf &leaf, const Leaf &of_root)
{
    const std::string root_key = pg::quote(of_root.key), key = "t." + pg::quote(leaf.key);
    const std::string keys = "SELECT " + root_key + " FROM ONLY " + of_root.name + " ORDER BY " + root_key;
    std::string text =
        "WITH range AS MATERIALIZED (SELECT (" + keys + " LIMIT 1) AS lo, (" + keys + " DESC LIMIT 1) AS hi)";
    for (const std::string &other : others)
        text += (&other == &others.front() ? " " : " UNION ALL ") + ("SELECT " + pg::quote_text(other)) +
                " WHERE EXISTS (SELECT FROM ONLY " + other + " AS t WHERE " + key +
                " >= (SELECT lo FROM range) AND " + key + " <= (SELECT hi FROM range))";
    return text;
}

std::vector<std::string> other_leaves(pg::Spi &spi, const Work &work, const Leaf &leaf)
{
    std::vector<std::string> names;
    pg::Rows rows = spi.run(
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_partition_tree($1) t"
        " JOIN pg_catalog.pg_class c ON c.oid = t.relid AND c.relkind = 'r'"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.oid <> $2 ORDER BY c.oid",
        {pg::regclass_param(work.family.members[leaf.member].table.relid), pg::oid_param(leaf.table.relid)});
    for (std::size_t row = 0; row < rows.size(); ++row)
        names.push_back(rows.text(row, 1));
    return names;
}

void require_none_outside(pg::Spi &spi, const Work &work, const Window &window)
{
    if (!may_change_order(spi, leaf_of_root(window)))
        return;
    for (const Leaf &leaf : window.leaves) {
        const std::vector<std::string> others = other_leaves(spi, work, leaf);
        if (leaf.member == 0 || others.empty())
            continue;
        pg::Rows found = spi.run(probe_of(others, leaf, leaf_of_root(window)));
        if (!found.empty())
            by_rows(found.text(0, 1) + " holds rows within the bounds of " + leaf.name);
    }
}

// Rows that one transaction moves, or roots that it locks, one by one at most.
std::int64_t most_rows()
{
    return 10 * static_cast<std::int64_t>(settings::retention_batch_rows());
}

pg::Rows ask_about_roots(pg::Spi &spi, const Work &work, const Window &window)
{
    return spi.run(work.sql.count_roots(leaf_of_root(window).name),
                   {pg::datum_param(work.cutoff.type, work.cutoff.value)});
}

// The roots that go, as they are locked, or counted.
std::optional<Picked> pick_roots(pg::Spi &spi, const Work &work, const Window &window)
{
    if (window.leaves.size() == work.family.members.size())
        return std::nullopt; // nothing else belongs to them
    if (ask_about_roots(spi, work, window).int8(0, 2) > most_rows())
        by_rows("it has too many roots for one transaction");
    return std::make_optional<Picked>(spi.run(work.sql.pick_leaf(leaf_of_root(window).name),
                                              {pg::datum_param(work.cutoff.type, work.cutoff.value)}),
                                      work.sql.columns());
}

// True where there are some, and none of them stays.
bool count_roots(pg::Spi &spi, const Work &work, const Window &window, const std::optional<Picked> &picked,
                 Batch &batch)
{
    const pg::Rows row = ask_about_roots(spi, work, window);
    batch.roots = row.int8(0, 2);
    batch.key_from = row.text(0, 3);
    batch.key_to = row.text(0, 4);
    if (picked && picked->count < batch.roots)
        by_rows(std::to_string(batch.roots - picked->count) + " of its roots are in use");
    return batch.roots > 0 && batch.roots == row.int8(0, 1);
}

// What belongs to the roots and is in none of the leaves.
void move_rest(pg::Spi &spi, const Work &work, const std::vector<ArchiveTable> &archives,
               const Window &window, const Picked &picked, Batch &batch)
{
    ToSpare spared;
    std::int64_t rows = 0;
    for (std::size_t i = 0; i < work.family.members.size(); ++i) {
        if (window.find(i))
            spared.members.push_back(i);
        else
            rows += count_rows(spi, work, picked, work.family.members[i]);
    }
    if (rows > most_rows())
        by_rows("too many rows that belong to its roots are in tables that are not partitioned as it is");
    move_picked(spi, work, archives, picked, spared, batch);
}

} // namespace

std::vector<CheckedLeaf> check_family(pg::Spi &spi, const Work &work,
                                      const std::vector<ArchiveTable> &archives, const Window &window,
                                      bool is_counted, Batch &batch)
{
    if (const std::string why = obstacle_in_conditions(work); !why.empty())
        by_rows(why);
    const std::optional<Picked> picked = pick_roots(spi, work, window); // the locks are marks on pages
    std::vector<CheckedLeaf> leaves = lock_leaves(window);
    require_in_place(spi, work, window);
    remember_pages(leaves.back());
    const bool all_go = count_roots(spi, work, window, picked, batch);
    if (all_go && !is_counted && holds_by_bounds(spi, work, window)) {
        leave_unread(leaves);
    } else {
        read_rows(leaves);
        require_none_outside(spi, work, window);
        make_refuges(spi, work, archives, window, leaves);
    }
    if (picked)
        move_rest(spi, work, archives, window, *picked, batch);
    return leaves;
}

} // namespace privacy_scan::retention
