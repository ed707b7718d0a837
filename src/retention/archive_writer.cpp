// See archive_writer.hpp. All but the class's own functions is red: it runs per row, inside the executor.
#include "retention/archive_writer.hpp"

extern "C" {
#include <access/heapam.h>
#include <access/htup_details.h>
#include <access/table.h>
#include <access/tableam.h>
#include <access/xact.h>
#include <executor/tuptable.h>
#include <nodes/pg_list.h>
#include <utils/acl.h>
#include <utils/memutils.h>
#include <utils/rel.h>
#include <utils/snapmgr.h>
}

namespace privacy_scan::retention
{

// A flush: as many rows as COPY gathers, or fewer large ones.
constexpr int most_rows = 1000;
constexpr std::size_t most_bytes = 256 * 1024;

struct ArchiveSink {
    DestReceiver receiver;     // first: PostgreSQL knows the sink by this address
    MemoryContext memory;      // of the sink
    MemoryContext rows_memory; // of the rows since the last flush
    Relation archive;
    RowShape *shape;        // of the archive
    TupleTableSlot **slots; // rows since the last flush
    int used;
    std::size_t bytes;
    TupleTableSlot *read_slot;
    Datum *values; // one row, in the archive's order
    bool *nulls;
    int columns; // that come in, tableoid left out
    int *target; // their attribute numbers in the archive, from 0
    List *leaves;
    Oid last_leaf;
    RowTotal deleted, written;
};

namespace
{

int find_column(TupleDesc desc, const char *name)
{
    for (int i = 0; i < desc->natts; ++i)
        if (!TupleDescAttr(desc, i)->attisdropped &&
            strcmp(NameStr(TupleDescAttr(desc, i)->attname), name) == 0)
            return i;
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("archive has no column \"%s\"", name)));
    pg_unreachable();
}

void start(DestReceiver *self, int, TupleDesc incoming)
{
    auto *sink = reinterpret_cast<ArchiveSink *>(self);
    MemoryContext outer = MemoryContextSwitchTo(sink->memory);
    TupleDesc desc = sink->shape->desc;
    sink->columns = incoming->natts - 1;
    sink->target = static_cast<int *>(palloc(sizeof(int) * (sink->columns + 1)));
    for (int i = 0; i < sink->columns; ++i) {
        Form_pg_attribute column = TupleDescAttr(incoming, i + 1);
        sink->target[i] = find_column(desc, NameStr(column->attname));
        if (TupleDescAttr(desc, sink->target[i])->atttypid != column->atttypid)
            ereport(ERROR,
                    (errcode(ERRCODE_DATATYPE_MISMATCH),
                     errmsg("column \"%s\" has another type in the archive", NameStr(column->attname))));
    }
    MemoryContextSwitchTo(outer);
}

// Reads a row back from where it was written.
void verify(ArchiveSink *sink, TupleTableSlot *slot)
{
    if (!table_tuple_fetch_row_version(sink->archive, &slot->tts_tid, SnapshotSelf, sink->read_slot))
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("a row just archived cannot be read back")));
    slot_getallattrs(sink->read_slot);
    add_row(&sink->written, sink->shape, sink->read_slot->tts_values, sink->read_slot->tts_isnull);
    ExecClearTuple(sink->read_slot);
}

void flush(ArchiveSink *sink)
{
    if (sink->used > 0)
        table_multi_insert(sink->archive, sink->slots, sink->used, GetCurrentCommandId(true), 0, nullptr);
    for (int i = 0; i < sink->used; ++i) {
        verify(sink, sink->slots[i]);
        ExecClearTuple(sink->slots[i]);
    }
    sink->used = 0;
    sink->bytes = 0;
    MemoryContextReset(sink->rows_memory);
}

TupleTableSlot *next_slot(ArchiveSink *sink)
{
    TupleTableSlot *&slot = sink->slots[sink->used++];
    if (!slot) {
        MemoryContext outer = MemoryContextSwitchTo(sink->memory);
        slot = MakeSingleTupleTableSlot(sink->shape->desc, &TTSOpsHeapTuple);
        MemoryContextSwitchTo(outer);
    }
    return slot;
}

void note_leaf(ArchiveSink *sink, Oid leaf)
{
    if (leaf == sink->last_leaf)
        return;
    MemoryContext outer = MemoryContextSwitchTo(sink->memory);
    sink->leaves = list_append_unique_oid(sink->leaves, leaf);
    sink->last_leaf = leaf;
    MemoryContextSwitchTo(outer);
}

bool receive(TupleTableSlot *row, DestReceiver *self)
{
    auto *sink = reinterpret_cast<ArchiveSink *>(self);
    slot_getallattrs(row);
    note_leaf(sink, DatumGetObjectId(row->tts_values[0]));
    for (int i = 0; i < sink->columns; ++i) {
        sink->values[sink->target[i]] = row->tts_values[i + 1];
        sink->nulls[sink->target[i]] = row->tts_isnull[i + 1];
    }
    MemoryContext outer = MemoryContextSwitchTo(sink->rows_memory);
    add_row(&sink->deleted, sink->shape, sink->values, sink->nulls);
    HeapTuple tuple = heap_form_tuple(sink->shape->desc, sink->values, sink->nulls);
    tuple->t_tableOid = RelationGetRelid(sink->archive);
    ExecStoreHeapTuple(tuple, next_slot(sink), false);
    sink->bytes += tuple->t_len;
    if (sink->used == most_rows || sink->bytes >= most_bytes)
        flush(sink);
    MemoryContextSwitchTo(outer);
    return true;
}

void shut(DestReceiver *) {}

ArchiveSink *open(Oid relid)
{
    MemoryContext memory =
        AllocSetContextCreate(CurrentMemoryContext, "archive sink", ALLOCSET_DEFAULT_SIZES);
    MemoryContext outer = MemoryContextSwitchTo(memory);
    auto *sink = static_cast<ArchiveSink *>(palloc0(sizeof(ArchiveSink)));
    sink->receiver.receiveSlot = receive;
    sink->receiver.rStartup = start;
    sink->receiver.rShutdown = shut;
    sink->receiver.rDestroy = shut;
    sink->receiver.mydest = DestNone;
    sink->memory = memory;
    sink->rows_memory = AllocSetContextCreate(memory, "archive sink rows", ALLOCSET_DEFAULT_SIZES);
    sink->archive = table_open(relid, RowExclusiveLock);
    sink->shape = make_row_shape(RelationGetDescr(sink->archive));
    sink->slots = static_cast<TupleTableSlot **>(palloc0(sizeof(TupleTableSlot *) * most_rows));
    sink->read_slot = table_slot_create(sink->archive, nullptr);
    const int natts = sink->shape->desc->natts;
    sink->values = static_cast<Datum *>(palloc0(sizeof(Datum) * (natts + 1)));
    sink->nulls = static_cast<bool *>(palloc(sizeof(bool) * (natts + 1)));
    memset(sink->nulls, true, natts); // what the source doesn't have stays NULL
    MemoryContextSwitchTo(outer);
    return sink;
}

void close(ArchiveSink *sink)
{
    flush(sink);
    for (int i = 0; i < most_rows && sink->slots[i]; ++i)
        ExecDropSingleTupleTableSlot(sink->slots[i]);
    ExecDropSingleTupleTableSlot(sink->read_slot);
    table_finish_bulk_insert(sink->archive, 0);
    table_close(sink->archive, NoLock);
}

bool has_rules_for_rows(TupleDesc desc)
{
    const TupleConstr *constr = desc->constr;
    return constr && (constr->has_not_null || constr->num_check > 0 || constr->num_defval > 0 ||
                      constr->has_generated_stored);
}

// Row-level security doesn't matter: the archive's owner writes, and OwnerScope sees to it that it isn't forced on him.
bool is_plain(Relation archive)
{
    const FormData_pg_class *about = archive->rd_rel;
    return about->relkind == RELKIND_RELATION && archive->rd_tableam == GetHeapamTableAmRoutine() &&
           !about->relispartition && !about->relhasindex && !about->relhasrules && !about->relhastriggers &&
           !has_rules_for_rows(RelationGetDescr(archive)) &&
           pg_class_aclcheck(RelationGetRelid(archive), GetUserId(), ACL_INSERT) == ACLCHECK_OK;
}

} // namespace

bool ArchiveWriter::can_write(Oid archive)
{
    return pg::guarded([=] {
        Relation relation = table_open(archive, RowExclusiveLock);
        const bool plain = is_plain(relation);
        table_close(relation, NoLock);
        return plain;
    });
}

ArchiveWriter::ArchiveWriter(Oid archive) : sink_(pg::guarded([=] { return open(archive); })) {}

DestReceiver *ArchiveWriter::receiver()
{
    return &sink_->receiver;
}

void ArchiveWriter::finish()
{
    pg::guarded([this] { close(sink_); });
}

const RowTotal &ArchiveWriter::deleted() const
{
    return sink_->deleted;
}
const RowTotal &ArchiveWriter::written() const
{
    return sink_->written;
}

std::vector<Oid> ArchiveWriter::leaves() const
{
    std::vector<Oid> leaves;
    ListCell *cell;
    foreach (cell, sink_->leaves)
        leaves.push_back(lfirst_oid(cell));
    return leaves;
}

} // namespace privacy_scan::retention
