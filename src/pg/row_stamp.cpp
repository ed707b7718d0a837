// See row_stamp.hpp.
#include "pg/row_stamp.hpp"

#include "pg/postgres.hpp"

extern "C" {
#include <access/generic_xlog.h>
#include <access/htup_details.h>
#include <access/visibilitymap.h>
#include <access/xact.h>
#include <access/xloginsert.h>
#include <miscadmin.h>
#include <storage/bufmgr.h>
#include <storage/bufpage.h>
#include <utils/rel.h>
}

namespace privacy_scan::pg
{

namespace
{

// Locks the page. Where vacuum has put it in the visibility map, the map's page is pinned: before the lock,
// since it may have to be read, and then once more where vacuum did so just before the lock.
Buffer lock_page(Relation relation, Buffer buffer)
{
    Buffer map = InvalidBuffer;
    Page page = BufferGetPage(buffer);
    if (PageIsAllVisible(page))
        visibilitymap_pin(relation, BufferGetBlockNumber(buffer), &map);
    LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
    if (PageIsAllVisible(page) && !BufferIsValid(map)) {
        LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
        visibilitymap_pin(relation, BufferGetBlockNumber(buffer), &map);
        LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
    }
    return map;
}

// Takes the locked page out of the map, before the page itself says so. The map's page is logged as a whole:
// generic records know only pages with a hole in the middle, and this one has none.
void forget_visible(Relation relation, Buffer buffer, Buffer map)
{
    if (!visibilitymap_clear(relation, BufferGetBlockNumber(buffer), map, VISIBILITYMAP_VALID_BITS) ||
        !RelationNeedsWAL(relation))
        return;
    LockBuffer(map, BUFFER_LOCK_EXCLUSIVE);
    START_CRIT_SECTION();
    MarkBufferDirty(map);
    log_newpage_buffer(map, false);
    END_CRIT_SECTION();
    LockBuffer(map, BUFFER_LOCK_UNLOCK);
}

// Edits a version's header under a generic record.
template <typename Edit> void edit_header(Relation relation, ItemPointer tid, Edit edit)
{
    Buffer buffer = ReadBuffer(relation, ItemPointerGetBlockNumber(tid));
    Buffer map = lock_page(relation, buffer);
    if (PageIsAllVisible(BufferGetPage(buffer)))
        forget_visible(relation, buffer, map);
    GenericXLogState *record = GenericXLogStart(relation);
    Page page = GenericXLogRegisterBuffer(record, buffer, 0);
    PageClearAllVisible(page);
    edit(page, reinterpret_cast<HeapTupleHeader>(
                   PageGetItem(page, PageGetItemId(page, ItemPointerGetOffsetNumber(tid)))));
    GenericXLogFinish(record);
    UnlockReleaseBuffer(buffer);
    if (BufferIsValid(map))
        ReleaseBuffer(map);
}

} // namespace

void stamp_version(Relation relation, ItemPointer tid, Stamp stamp)
{
    edit_header(relation, tid, [=](Page page, HeapTupleHeader header) {
        header->t_infomask &= ~HEAP_XACT_MASK;
        if (TransactionIdIsValid(stamp.made)) {
            HeapTupleHeaderSetXmin(header, stamp.made);
            header->t_infomask |= HEAP_XMIN_COMMITTED;
        } else {
            HeapTupleHeaderSetXminFrozen(header);
        }
        HeapTupleHeaderSetXmax(header, stamp.deleted);
        if (!TransactionIdIsValid(stamp.deleted)) {
            header->t_infomask |= HEAP_XMAX_INVALID;
            return;
        }
        // Where its successor is we don't say: who follows it from an old snapshot is told to try again.
        header->t_infomask |= HEAP_XMAX_COMMITTED;
        header->t_infomask2 |= HEAP_KEYS_UPDATED;
        HeapTupleHeaderSetMovedPartitions(header);
        PageSetPrunable(page, stamp.deleted);
    });
}

void withdraw_version(Relation relation, ItemPointer tid)
{
    edit_header(relation, tid, [](Page page, HeapTupleHeader header) {
        header->t_infomask &= ~HEAP_XACT_MASK;
        header->t_infomask |= HEAP_XMIN_INVALID | HEAP_XMAX_INVALID;
        HeapTupleHeaderSetXmin(header, InvalidTransactionId);
        PageSetPrunable(page, GetCurrentTransactionId());
    });
}

} // namespace privacy_scan::pg
