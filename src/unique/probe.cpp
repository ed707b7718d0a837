// The trigger that keeps columns of a partition set unique, as an exclusion constraint does: the row is in
// its partition and that partition's indexes already; now the same key is looked for in all of them, also
// among rows that others have not committed yet. Each of two who insert the same key does so before it looks,
// so that one at least sees the other, and waits for it. Nothing is kept besides the rows and their indexes.
//
// The look-up is by index, below SQL: rights, policies, rules and search paths play no part. A partition is
// locked (ACCESS SHARE) for the look alone, so that nobody waits for a transaction that has only looked. All
// red.
#include "pg/postgres.hpp"

#include "pg/compat.hpp"
#include "pg/entry.hpp"
#include "unique/leaves.hpp"

#include <cstring>

extern "C" {
#include <access/genam.h>
#include <access/relation.h>
#include <access/relscan.h>
#include <access/tableam.h>
#include <access/xact.h>
#include <commands/trigger.h>
#include <executor/tuptable.h>
#include <lib/stringinfo.h>
#include <storage/lmgr.h>
#include <utils/acl.h>
#include <utils/builtins.h>
#include <utils/datum.h>
#include <utils/inval.h>
#include <utils/lsyscache.h>
#include <utils/rel.h>
#include <utils/rls.h>
#include <utils/snapmgr.h>
}

using namespace privacy_scan;
using unique::Leaf;
using unique::Leaves;

namespace
{

// A row's key and what has been found of it.
struct Search {
    TriggerData *data;
    Trigger *trigger; // the one that names the columns
    ItemPointerData row;
    Datum key[INDEX_MAX_KEYS];
    const Leaves *leaves;
    int live;  // rows with the key, the row itself among them where it still lives
    Oid other; // partition of one that isn't the row
};

// One partition, open for a look.
struct Place {
    Relation table, index;
    TupleTableSlot *slot; // made when there is a row
    ScanKeyData keys[INDEX_MAX_KEYS];
    int width;
};

// What a look found.
struct Sight {
    int live;
    Oid other;
    bool has_dead;           // index entries whose row has ended
    TransactionId in_flight; // whoever is about to make or to end one: to be waited for
    uint32 token;            // of its INSERT .. ON CONFLICT that may yet be taken back
};

// --- looking -----------------------------------------------------------------------------------------

void close_place(Place *place)
{
    if (place->slot)
        ExecDropSingleTupleTableSlot(place->slot);
    if (place->index)
        relation_close(place->index, AccessShareLock);
    if (place->table)
        relation_close(place->table, AccessShareLock);
}

// False where the partition or its index is not what it was.
bool open_place(Place *place, const Search *search, const Leaf *leaf)
{
    place->slot = nullptr;
    place->index = nullptr;
    place->table = try_relation_open(leaf->relid, AccessShareLock);
    if (place->table)
        place->index = try_relation_open(leaf->index, AccessShareLock);
    if (!place->index || !place->index->rd_index->indisvalid || !search->leaves->is_current) {
        close_place(place);
        return false;
    }
    place->width = search->leaves->width;
    for (int i = 0; i < place->width; ++i) {
        place->keys[i] = leaf->keys[i];
        place->keys[i].sk_argument = search->key[leaf->columns[i]];
        place->keys[i].sk_func.fn_mcxt = CurrentMemoryContext;
    }
    return true;
}

IndexScanDesc begin_scan(Place *place, Snapshot snapshot)
{
    IndexScanDesc scan = pg::compat::begin_index_scan(place->table, place->index, snapshot, place->width);
    index_rescan(scan, place->keys, place->width, nullptr, 0);
    return scan;
}

TupleTableSlot *slot_of(Place *place)
{
    if (!place->slot)
        place->slot = table_slot_create(place->table, nullptr);
    return place->slot;
}

bool is_row(const Search *search, Relation table, TupleTableSlot *slot)
{
    return RelationGetRelid(table) == RelationGetRelid(search->data->tg_relation) &&
           ItemPointerEquals(&slot->tts_tid, const_cast<ItemPointer>(&search->row));
}

// All versions behind an index entry that count now: of others' transactions also what is not committed.
bool look_at_entry(const Search *search, Place *place, IndexScanDesc scan, const SnapshotData *dirty,
                   Sight *sight)
{
    bool any = false;
    while (index_fetch_heap(scan, slot_of(place))) {
        any = true;
        if (TransactionIdIsValid(dirty->xmin) || TransactionIdIsValid(dirty->xmax)) {
            sight->in_flight = TransactionIdIsValid(dirty->xmin) ? dirty->xmin : dirty->xmax;
            sight->token = dirty->speculativeToken;
            break;
        }
        ++sight->live;
        if (!is_row(search, place->table, place->slot))
            sight->other = RelationGetRelid(place->table);
        if (!scan->xs_heap_continue)
            break;
    }
    return any;
}

Sight look(const Search *search, Place *place)
{
    Sight sight{};
    SnapshotData dirty;
    InitDirtySnapshot(dirty);
    IndexScanDesc scan = begin_scan(place, &dirty);
    while (!TransactionIdIsValid(sight.in_flight) && index_getnext_tid(scan, ForwardScanDirection))
        sight.has_dead |= !look_at_entry(search, place, scan, &dirty, &sight);
    index_endscan(scan);
    return sight;
}

// A row that was updated and committed between our reading its index entry and our going to it is dead where
// we look, and its new version has an entry that we have not read. A snapshot taken after the look has it.
bool has_moved(Place *place, const Sight *sight)
{
    CommandCounterIncrement(); // what this statement did counts, too
    Snapshot latest = RegisterSnapshot(GetLatestSnapshot());
    IndexScanDesc scan = begin_scan(place, latest);
    int committed = 0;
    while (index_getnext_slot(scan, ForwardScanDirection, slot_of(place)))
        ++committed;
    index_endscan(scan);
    UnregisterSnapshot(latest);
    return committed > sight->live;
}

void wait_for(const Sight *sight)
{
    if (sight->token != 0)
        SpeculativeInsertionWait(sight->in_flight, sight->token);
    else
        XactLockTableWait(sight->in_flight, nullptr, nullptr, XLTW_None);
}

// --- the error ---------------------------------------------------------------------------------------

// As PostgreSQL decides whether an error shows a key, but by the rights on the root: users have none on
// partitions.
bool may_show(const Leaves *leaves)
{
    if (check_enable_rls(leaves->root, InvalidOid, true) == RLS_ENABLED)
        return false;
    if (pg_class_aclcheck(leaves->root, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
        return true;
    for (int i = 0; i < leaves->width; ++i)
        if (pg_attribute_aclcheck(leaves->root, leaves->numbers[i], GetUserId(), ACL_SELECT) != ACLCHECK_OK)
            return false;
    return true;
}

char *key_in_words(const Search *search)
{
    const Leaves *leaves = search->leaves;
    StringInfoData names, values;
    initStringInfo(&names);
    initStringInfo(&values);
    for (int i = 0; i < leaves->width; ++i) {
        const char *comma = i > 0 ? ", " : "";
        Oid output = InvalidOid;
        bool is_varlena = false;
        getTypeOutputInfo(get_atttype(leaves->root, leaves->numbers[i]), &output, &is_varlena);
        appendStringInfo(&names, "%s%s", comma,
                         quote_identifier(get_attname(leaves->root, leaves->numbers[i], false)));
        appendStringInfo(&values, "%s%s", comma, OidOutputFunctionCall(output, search->key[i]));
    }
    return psprintf("(%s)=(%s)", names.data, values.data);
}

// The words are PostgreSQL's own, which ORMs read.
[[noreturn]] void refuse(const Search *search)
{
    const char *name = search->trigger->tgname;
    const char *other = get_rel_name(search->other);
    ereport(ERROR, (errcode(ERRCODE_UNIQUE_VIOLATION),
                    errmsg("duplicate key value violates unique constraint \"%s\"", name),
                    may_show(search->leaves)
                        ? errdetail("Key %s already exists in partition \"%s\".", key_in_words(search), other)
                        : errdetail("The key already exists."),
                    errtableconstraint(search->data->tg_relation, name)));
}

// --- the check ---------------------------------------------------------------------------------------

// False: what was seen doesn't hold any more, and all has to be looked at again.
bool look_into(Search *search, const Leaf *leaf)
{
    Place place;
    if (!open_place(&place, search, leaf))
        return false;
    const Sight sight = look(search, &place);
    const bool in_flight = TransactionIdIsValid(sight.in_flight);
    const bool moved = !in_flight && sight.has_dead && has_moved(&place, &sight);
    close_place(&place);
    if (in_flight)
        wait_for(&sight);
    if (in_flight || moved)
        return false;
    search->live += sight.live;
    if (OidIsValid(sight.other))
        search->other = sight.other;
    // Rows are counted, so that it doesn't matter what triggers before this one did with the row.
    if (search->live > 1)
        refuse(search);
    return true;
}

bool look_everywhere(Search *search)
{
    search->leaves = unique::current_leaves(search->trigger->tgoid);
    search->live = 0;
    search->other = InvalidOid;
    for (int i = 0; i < search->leaves->count; ++i)
        if (!look_into(search, &search->leaves->leaves[i]))
            return false;
    // Rows may have gone from a partition to one that was attached while we looked.
    AcceptInvalidationMessages();
    return search->leaves->is_current;
}

// False where a column is NULL, which equals nothing.
bool read_key(const Trigger *trigger, TupleTableSlot *row, Datum *key)
{
    for (int i = 0; i < trigger->tgnattr; ++i) {
        bool is_null = false;
        const AttrNumber number = trigger->tgattr[i];
        key[i] = slot_getattr(row, number, &is_null);
        if (is_null)
            return false;
        if (TupleDescAttr(row->tts_tupleDescriptor, number - 1)->attlen == -1)
            key[i] = PointerGetDatum(PG_DETOAST_DATUM_PACKED(key[i]));
    }
    return true;
}

bool is_same_key(const Trigger *trigger, TupleTableSlot *before, const Datum *key)
{
    Datum old_key[INDEX_MAX_KEYS];
    if (!read_key(trigger, before, old_key))
        return false;
    for (int i = 0; i < trigger->tgnattr; ++i) {
        Form_pg_attribute column = TupleDescAttr(before->tts_tupleDescriptor, trigger->tgattr[i] - 1);
        if (!datumIsEqual(old_key[i], key[i], column->attbyval, column->attlen))
            return false;
    }
    return true;
}

// The trigger itself, or, for the one for any UPDATE, that which it names: a copy, since a message that comes
// in while we look rebuilds those of the relation.
Trigger *trigger_with_columns(const TriggerData *data)
{
    Trigger *trigger = data->tg_trigger;
    if (trigger->tgnattr > 0 || trigger->tgnargs != 1)
        return trigger;
    const TriggerDesc *all = CopyTriggerDesc(data->tg_relation->trigdesc);
    for (int i = 0; i < all->numtriggers; ++i)
        if (all->triggers[i].tgfoid == trigger->tgfoid && all->triggers[i].tgnattr > 0 &&
            std::strcmp(all->triggers[i].tgname, trigger->tgargs[0]) == 0)
            return &all->triggers[i];
    return trigger;
}

Trigger *require_protocol(FunctionCallInfo fcinfo)
{
    auto *data = reinterpret_cast<TriggerData *>(fcinfo->context);
    Trigger *trigger = CALLED_AS_TRIGGER(fcinfo) && TRIGGER_FIRED_FOR_ROW(data->tg_event)
                           ? trigger_with_columns(data)
                           : nullptr;
    if (!trigger || !TRIGGER_FIRED_AFTER(data->tg_event) || TRIGGER_FIRED_BY_DELETE(data->tg_event) ||
        trigger->tgnattr < 1 || trigger->tgnattr > INDEX_MAX_KEYS)
        ereport(ERROR,
                (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                 errmsg("check_unique() is a trigger function, AFTER INSERT OR UPDATE OF .. FOR EACH ROW"),
                 errhint("Call privacy_scan.add_unique_check().")));
    return trigger;
}

} // namespace

// privacy_scan.check_unique() returns trigger: on the root of a partition set, AFTER INSERT OR UPDATE OF the
// columns that are to be unique, FOR EACH ROW; or AFTER UPDATE of any, with the name of the first. Errors:
// 23505 another row has the values, 39P01 not called as such a trigger, 40P01 two that wait for each other,
// 55000 a partition without an index for it.
PS_RED_FUNCTION(ps_check_unique)
{
    Search search{};
    search.trigger = require_protocol(fcinfo);
    search.data = reinterpret_cast<TriggerData *>(fcinfo->context);
    const bool is_update = TRIGGER_FIRED_BY_UPDATE(search.data->tg_event);
    TupleTableSlot *row = is_update ? search.data->tg_newslot : search.data->tg_trigslot;
    if (!read_key(search.trigger, row, search.key) ||
        (is_update && is_same_key(search.trigger, search.data->tg_trigslot, search.key)))
        return PointerGetDatum(nullptr);
    search.row = row->tts_tid;
    while (!look_everywhere(&search))
        CHECK_FOR_INTERRUPTS();
    return PointerGetDatum(nullptr);
}
