// See leaf_check.hpp.
#include "pg/postgres.hpp"

#include "retention/leaf_check.hpp"

#include "pg/relation.hpp"
#include "pg/subxact.hpp"
#include "retention/archive_total.hpp"

namespace privacy_scan::retention
{

void by_rows(const std::string &reason)
{
    pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, reason);
}

namespace
{

// Where some pages aren't all-visible: with all writers gone for the moment of reading their marks, so that
// what they wrote is committed or not. The lock is given back at once.
LeafPages pages_without_writers(const Leaf &leaf)
{
    LeafPages pages{};
    pg::Subtransaction moment;
    pg::lock_owned(leaf.table, ShareLock);
    {
        const pg::RelationScope relation(leaf.table.relid, NoLock);
        pages = pg::guarded([&] { return read_leaf_pages(relation.get()); });
    }
    moment.rollback();
    return pages;
}

LeafPages pages_of(const Leaf &leaf)
{
    const pg::RelationScope relation(leaf.table.relid, NoLock);
    return pg::guarded([&] { return read_leaf_pages(relation.get()); });
}

} // namespace

std::vector<CheckedLeaf> lock_leaves(const Window &window)
{
    std::vector<CheckedLeaf> leaves;
    for (const Leaf &leaf : window.leaves) {
        pg::lock_owned(leaf.table, ShareUpdateExclusiveLock);
        const pg::RelationScope relation(leaf.table.relid, NoLock);
        if (!RelationNeedsWAL(relation.get()))
            by_rows("it is unlogged");
        leaves.push_back({&leaf, {}, std::max<std::int64_t>(1, static_cast<std::int64_t>(leaf.rows)), {}, {}, false});
    }
    return leaves;
}

void remember_pages(CheckedLeaf &checked)
{
    LeafPages pages = pages_of(*checked.leaf);
    if (pages.unmarked > 0)
        pages = pages_without_writers(*checked.leaf);
    if (pages.unmarked > most_page_marks)
        by_rows(std::to_string(pages.unmarked) + " pages are not all-visible, VACUUM it");
    checked.pages = pages;
}

void read_total(CheckedLeaf &checked)
{
    checked.total = read_table(checked.leaf->table.relid, whole_rows);
    checked.rows = checked.total->rows;
}

} // namespace privacy_scan::retention
