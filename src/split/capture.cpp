// The trigger that takes note of changed rows: the key of each, in a table of the same owner beside the
// partition. All red.
#include "pg/postgres.hpp"

#include "pg/entry.hpp"
#include "split/split_pieces.hpp"

#include <cstring>

extern "C" {
#include <access/heapam.h>
#include <access/htup_details.h>
#include <access/table.h>
#include <access/xact.h>
#include <catalog/namespace.h>
#include <commands/trigger.h>
#include <executor/tuptable.h>
#include <utils/builtins.h>
#include <utils/datum.h>
#include <utils/lsyscache.h>
#include <utils/rel.h>
}

using namespace privacy_scan;

namespace
{

constexpr int most_columns = INDEX_MAX_KEYS;

// Found once per statement, kept with the call site.
struct CaptureSite {
    Oid changes;
    int columns;
    AttrNumber numbers[most_columns]; // of the key's columns in the partition
    bool by_value[most_columns];
    int16 lengths[most_columns];
};

// The table is found by its name, which a dump keeps. Only one of the same owner will do: whoever may create
// a trigger could name somebody else's.
Oid find_changes(Relation partition, char **arguments, int count)
{
    Oid changes = InvalidOid;
    if (count == 2) {
        const Oid schema = get_namespace_oid(arguments[0], true);
        changes = OidIsValid(schema) ? get_relname_relid(arguments[1], schema) : InvalidOid;
    }
    if (!OidIsValid(changes))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
                        errmsg("the table that keeps the changes of partition \"%s\" is gone",
                               RelationGetRelationName(partition)),
                        errhint("The owner ends the split with privacy_scan.cancel_split().")));
    return changes;
}

// Keys are written there past all but the heap: no index, no CHECK and no trigger of it would be heeded.
bool can_keep(Relation changes, Relation partition)
{
    Form_pg_class form = changes->rd_rel;
    return form->relkind == RELKIND_RELATION && form->relowner == partition->rd_rel->relowner &&
           RelationGetDescr(changes)->natts <= most_columns && !form->relhasindex && form->relchecks == 0 &&
           !form->relhastriggers;
}

CaptureSite *open_site(FunctionCallInfo fcinfo, Relation partition, Trigger *trigger)
{
    auto *site =
        static_cast<CaptureSite *>(MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(CaptureSite)));
    site->changes = find_changes(partition, trigger->tgargs, trigger->tgnargs);
    Relation changes = table_open(site->changes, RowExclusiveLock);
    TupleDesc desc = RelationGetDescr(changes);
    if (!can_keep(changes, partition) || std::strcmp(trigger->tgname, split::object_name) != 0)
        ereport(ERROR,
                (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                 errmsg("relation \"%s\" cannot keep the changes of partition \"%s\"",
                        RelationGetRelationName(changes), RelationGetRelationName(partition)),
                 errdetail("It has another owner, or is no table for that, or the trigger is not a split's."),
                 errhint("The owner ends the split with privacy_scan.cancel_split().")));
    site->columns = desc->natts;
    for (int i = 0; i < desc->natts; ++i) {
        Form_pg_attribute column = TupleDescAttr(desc, i);
        site->numbers[i] = get_attnum(RelationGetRelid(partition), NameStr(column->attname));
        if (site->numbers[i] == InvalidAttrNumber ||
            get_atttype(RelationGetRelid(partition), site->numbers[i]) != column->atttypid)
            ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                            errmsg("partition \"%s\" has no key column \"%s\" any more",
                                   RelationGetRelationName(partition), NameStr(column->attname)),
                            errhint("The owner ends the split with privacy_scan.cancel_split().")));
        site->by_value[i] = column->attbyval;
        site->lengths[i] = column->attlen;
    }
    table_close(changes, NoLock);
    return site;
}

void read_key(const CaptureSite *site, TupleTableSlot *row, Datum *key)
{
    for (int i = 0; i < site->columns; ++i) {
        bool is_null = false;
        key[i] = slot_getattr(row, site->numbers[i], &is_null);
        if (is_null)
            elog(ERROR, "null in a primary key");
        if (site->lengths[i] == -1) // nothing in the notes may point into the partition's TOAST
            key[i] = PointerGetDatum(PG_DETOAST_DATUM_PACKED(key[i]));
    }
}

bool same_key(const CaptureSite *site, const Datum *left, const Datum *right)
{
    for (int i = 0; i < site->columns; ++i)
        if (!datumIsEqual(left[i], right[i], site->by_value[i], site->lengths[i]))
            return false;
    return true;
}

// For nobody but the split: not handed to logical decoding.
void note_key(const CaptureSite *site, Datum *key)
{
    Relation changes = table_open(site->changes, RowExclusiveLock);
    bool nulls[most_columns] = {};
    HeapTuple tuple = heap_form_tuple(RelationGetDescr(changes), key, nulls);
    heap_insert(changes, tuple, GetCurrentCommandId(true), HEAP_INSERT_NO_LOGICAL, nullptr);
    heap_freetuple(tuple);
    table_close(changes, NoLock);
}

} // namespace

// privacy_scan.capture_change() returns trigger: on a partition that is being split, FOR EACH ROW AFTER
// INSERT OR UPDATE OR DELETE; its arguments name the table that keeps the keys. Writes there with the rights
// of the trigger's table, whose owner must own both. Errors: 39P01 not called as such a trigger, 42P01,
// 42501, 42703.
PS_RED_FUNCTION(ps_capture_change)
{
    auto *data = reinterpret_cast<TriggerData *>(fcinfo->context);
    if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(data->tg_event) ||
        !TRIGGER_FIRED_FOR_ROW(data->tg_event))
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("capture_change() is a trigger function, AFTER .. FOR EACH ROW")));
    auto *site = static_cast<CaptureSite *>(fcinfo->flinfo->fn_extra);
    if (!site)
        fcinfo->flinfo->fn_extra = site = open_site(fcinfo, data->tg_relation, data->tg_trigger);
    Datum old_key[most_columns], new_key[most_columns];
    read_key(site, data->tg_trigslot, old_key);
    note_key(site, old_key);
    if (TRIGGER_FIRED_BY_UPDATE(data->tg_event)) {
        read_key(site, data->tg_newslot, new_key);
        if (!same_key(site, old_key, new_key))
            note_key(site, new_key);
    }
    return PointerGetDatum(nullptr);
}
