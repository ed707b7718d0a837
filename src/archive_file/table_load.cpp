// See table_load.hpp.
#include "archive_file/table_load.hpp"

#include "pg/compat.hpp"

extern "C" {
#include <access/heapam.h>
#include <access/htup_details.h>
#include <access/xact.h>
#include <catalog/pg_class_d.h>
#include <catalog/pg_type_d.h>
#include <executor/executor.h>
#include <miscadmin.h>
#include <utils/acl.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
}

namespace privacy_scan::archive_file
{

// What COPY gathers: so many rows, or fewer large ones.
constexpr int most_rows = 1000;
constexpr std::size_t most_bytes = 64 * 1024;

struct TableLoad {
    Relation table;
    EState *executor;
    ResultRelInfo *result;
    BulkInsertState bulk;
    CommandId command;
    MemoryContext memory;      // of the load
    MemoryContext rows_memory; // of the rows since the last flush
    TupleTableSlot **slots;    // those rows
    int used;
    std::size_t bytes;
    TupleTableSlot *read_slot;
    retention::RowShape *shape;
    retention::RowTotal total;
};

namespace
{

// Reads a row back from where it was written.
void read_row(TableLoad *load, TupleTableSlot *slot)
{
    if (!table_tuple_fetch_row_version(load->table, &slot->tts_tid, SnapshotSelf, load->read_slot))
        ereport(ERROR,
                (errcode(ERRCODE_DATA_CORRUPTED), errmsg("a row just restored cannot be read back")));
    slot_getallattrs(load->read_slot);
    retention::add_row(&load->total, load->shape, load->read_slot->tts_values, load->read_slot->tts_isnull);
    ExecClearTuple(load->read_slot);
}

void flush(TableLoad *load)
{
    MemoryContext outer = MemoryContextSwitchTo(load->rows_memory);
    if (load->used > 0)
        table_multi_insert(load->table, load->slots, load->used, load->command, 0, load->bulk);
    for (int i = 0; i < load->used; ++i) {
        if (load->result->ri_NumIndices > 0)
            pg::compat::insert_index_entries(load->result, load->slots[i], load->executor);
        read_row(load, load->slots[i]);
        ExecClearTuple(load->slots[i]);
    }
    ResetPerTupleExprContext(load->executor);
    MemoryContextSwitchTo(outer);
    MemoryContextReset(load->rows_memory);
    load->used = 0;
    load->bytes = 0;
}

TupleTableSlot *next_slot(TableLoad *load)
{
    TupleTableSlot *&slot = load->slots[load->used];
    if (!slot) {
        MemoryContext outer = MemoryContextSwitchTo(load->memory);
        slot = MakeSingleTupleTableSlot(RelationGetDescr(load->table), &TTSOpsHeapTuple);
        MemoryContextSwitchTo(outer);
    }
    return slot;
}

bool has_values_of_its_own(TupleDesc desc, const RowParser *parser)
{
    for (int i = 0; i < desc->natts; ++i) {
        Form_pg_attribute column = TupleDescAttr(desc, i);
        if (column->attisdropped)
            continue;
        if (column->attgenerated || (parser->field_of[i] < 0 && (column->atthasdef || column->attidentity)))
            return true;
        if (parser->field_of[i] < 0 && OidIsValid(column->atttypid) &&
            get_typtype(column->atttypid) == TYPTYPE_DOMAIN) // which may have one, or refuse NULL
            return true;
    }
    return false;
}

} // namespace

bool can_load(Relation table, const RowParser *parser)
{
    const FormData_pg_class *about = table->rd_rel;
    if (RelationGetDescr(table)->constr && !pg::compat::has_loose_result_relations)
        return false;
    return about->relkind == RELKIND_RELATION && table->rd_tableam == GetHeapamTableAmRoutine() &&
           !about->relispartition && !about->relhasrules && !about->relhastriggers &&
           !has_values_of_its_own(RelationGetDescr(table), parser) &&
           pg_class_aclcheck(RelationGetRelid(table), GetUserId(), ACL_INSERT) == ACLCHECK_OK;
}

TableLoad *open_load(Relation table)
{
    MemoryContext memory = AllocSetContextCreate(CurrentMemoryContext, "load of a table", ALLOCSET_DEFAULT_SIZES);
    MemoryContext outer = MemoryContextSwitchTo(memory);
    auto *load = static_cast<TableLoad *>(palloc0(sizeof(TableLoad)));
    load->table = table;
    load->memory = memory;
    load->rows_memory = AllocSetContextCreate(memory, "rows of a load", ALLOCSET_DEFAULT_SIZES);
    load->executor = CreateExecutorState();
    load->result = makeNode(ResultRelInfo);
    InitResultRelInfo(load->result, table, 0, nullptr, 0); // 0: it is in no range table
    ExecOpenIndices(load->result, false);
    load->bulk = GetBulkInsertState();
    load->command = GetCurrentCommandId(true);
    load->slots = static_cast<TupleTableSlot **>(palloc0(sizeof(TupleTableSlot *) * most_rows));
    load->read_slot = table_slot_create(table, nullptr);
    load->shape = retention::make_row_shape(RelationGetDescr(table));
    MemoryContextSwitchTo(outer);
    return load;
}

void load_row(TableLoad *load, const RowParser *parser)
{
    TupleDesc desc = RelationGetDescr(load->table);
    TupleTableSlot *slot = next_slot(load);
    MemoryContext outer = MemoryContextSwitchTo(load->rows_memory);
    HeapTuple tuple = heap_form_tuple(desc, parser->values, parser->nulls);
    MemoryContextSwitchTo(outer);
    tuple->t_tableOid = RelationGetRelid(load->table);
    ExecStoreHeapTuple(tuple, slot, false);
    slot->tts_tableOid = tuple->t_tableOid;
    if (desc->constr)
        ExecConstraints(load->result, slot, load->executor);
    ++load->used;
    load->bytes += tuple->t_len;
    if (load->used == most_rows || load->bytes >= most_bytes)
        flush(load);
}

retention::RowTotal finish_load(TableLoad *load)
{
    flush(load);
    for (int i = 0; i < most_rows && load->slots[i]; ++i)
        ExecDropSingleTupleTableSlot(load->slots[i]);
    ExecDropSingleTupleTableSlot(load->read_slot);
    FreeBulkInsertState(load->bulk);
    table_finish_bulk_insert(load->table, 0);
    ExecCloseIndices(load->result);
    FreeExecutorState(load->executor);
    CommandCounterIncrement();
    const retention::RowTotal total = load->total;
    MemoryContextDelete(load->memory);
    return total;
}

} // namespace privacy_scan::archive_file
