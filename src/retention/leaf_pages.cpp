// See leaf_pages.hpp.
#include "retention/leaf_pages.hpp"

extern "C" {
#include <access/heapam.h>
#include <access/visibilitymap.h>
#include <storage/bufmgr.h>
}

namespace privacy_scan::retention
{

namespace
{

BlockNumber count_all_visible(Relation leaf)
{
    BlockNumber visible = 0, frozen = 0;
    visibilitymap_count(leaf, &visible, &frozen);
    return visible;
}

// Dead versions are pruned first, as any reader would: the scan that follows must not change the page.
XLogRecPtr lsn_of(Relation leaf, BlockNumber block, bool prune)
{
    Buffer buffer = ReadBuffer(leaf, block);
    if (prune)
        heap_page_prune_opt(leaf, buffer);
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    const XLogRecPtr lsn = PageGetLSN(BufferGetPage(buffer));
    UnlockReleaseBuffer(buffer);
    return lsn;
}

void mark_pages(Relation leaf, LeafPages *pages)
{
    Buffer map = InvalidBuffer;
    pages->mark = static_cast<PageMark *>(palloc(sizeof(PageMark) * (pages->unmarked + 1)));
    for (BlockNumber block = 0; block < pages->blocks; ++block) {
        if (VM_ALL_VISIBLE(leaf, block, &map))
            continue;
        if (pages->marks == static_cast<int>(pages->unmarked))
            ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
                            errmsg("relation \"%s\" is being written to", RelationGetRelationName(leaf))));
        pages->mark[pages->marks++] = {block, lsn_of(leaf, block, true)};
        CHECK_FOR_INTERRUPTS();
    }
    if (BufferIsValid(map))
        ReleaseBuffer(map);
}

} // namespace

BlockNumber count_unmarked_pages(Relation leaf)
{
    const BlockNumber blocks = RelationGetNumberOfBlocks(leaf), visible = count_all_visible(leaf);
    return visible < blocks ? blocks - visible : 0;
}

LeafPages read_leaf_pages(Relation leaf)
{
    LeafPages pages{};
    pages.blocks = RelationGetNumberOfBlocks(leaf);
    pages.unmarked = count_unmarked_pages(leaf);
    if (pages.unmarked > 0 && pages.unmarked <= most_page_marks)
        mark_pages(leaf, &pages);
    return pages;
}

bool same_leaf_pages(Relation leaf, const LeafPages &pages)
{
    if (RelationGetNumberOfBlocks(leaf) != pages.blocks ||
        count_all_visible(leaf) != pages.blocks - static_cast<BlockNumber>(pages.marks))
        return false;
    for (int i = 0; i < pages.marks; ++i)
        if (lsn_of(leaf, pages.mark[i].block, false) != pages.mark[i].lsn)
            return false;
    return true;
}

} // namespace privacy_scan::retention
