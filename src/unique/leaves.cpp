// See leaves.hpp.
#include "unique/leaves.hpp"

extern "C" {
#include <access/genam.h>
#include <access/htup_details.h>
#include <access/relation.h>
#include <access/table.h>
#include <catalog/indexing.h>
#include <catalog/pg_am.h>
#include <catalog/pg_class.h>
#include <catalog/pg_inherits.h>
#include <catalog/pg_trigger.h>
#include <commands/defrem.h>
#include <utils/fmgroids.h>
#include <utils/hsearch.h>
#include <utils/inval.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/rel.h>
#include <utils/relcache.h>
}

namespace privacy_scan::unique
{

namespace
{

// From a clone on a partition to the check of its set.
struct Site {
    Oid trigger;
    Leaves *leaves;
    std::uint64_t version; // of them, for which this holds
};

HTAB *sets, *sites;
std::uint64_t invalidations; // of whatever relation

bool watches(const Leaves *set, Oid relid)
{
    for (int i = 0; i < set->watched; ++i)
        if (set->watch[i] == relid)
            return true;
    return false;
}

// Called as messages come in, also in the midst of a probe: notes it, and frees nothing.
void forget(Datum, Oid relid)
{
    ++invalidations;
    HASH_SEQ_STATUS all;
    hash_seq_init(&all, sets);
    while (auto *set = static_cast<Leaves *>(hash_seq_search(&all)))
        if (!OidIsValid(relid) || watches(set, relid))
            set->is_current = false;
}

void open_cache()
{
    if (sets)
        return;
    HASHCTL control{};
    control.keysize = sizeof(Oid);
    control.hcxt = CacheMemoryContext;
    control.entrysize = sizeof(Site);
    sites = hash_create("sites of unique checks", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    control.entrysize = sizeof(Leaves);
    HTAB *made = hash_create("unique checks", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    CacheRegisterRelcacheCallback(forget, Datum(0));
    sets = made;
}

struct TriggerRow {
    Oid oid, parent, relid;
    int width;
    AttrNumber numbers[INDEX_MAX_KEYS];
};

TriggerRow read_trigger(Relation catalog, Oid oid)
{
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(oid));
    SysScanDesc scan = systable_beginscan(catalog, TriggerOidIndexId, true, nullptr, 1, &key);
    HeapTuple tuple = systable_getnext(scan);
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "could not find trigger %u", oid);
    auto *form = reinterpret_cast<Form_pg_trigger>(GETSTRUCT(tuple));
    TriggerRow row{oid, form->tgparentid, form->tgrelid, form->tgattr.dim1, {}};
    if (row.width > INDEX_MAX_KEYS)
        elog(ERROR, "trigger %u has too many columns", oid);
    for (int i = 0; i < row.width; ++i)
        row.numbers[i] = form->tgattr.values[i];
    systable_endscan(scan);
    return row;
}

// The one on the root, of which the others are clones.
TriggerRow read_root_trigger(Oid oid)
{
    Relation catalog = table_open(TriggerRelationId, AccessShareLock);
    TriggerRow row = read_trigger(catalog, oid);
    while (OidIsValid(row.parent))
        row = read_trigger(catalog, row.parent);
    table_close(catalog, AccessShareLock);
    return row;
}

// Which of the columns it is, of those not found yet; below zero: none.
int place_of(AttrNumber number, const AttrNumber *numbers, int width, const bool *found)
{
    for (int i = 0; i < width; ++i)
        if (numbers[i] == number && !found[i])
            return i;
    return -1;
}

// Values are equal in it as they are in a PRIMARY KEY.
bool has_usual_order(Relation index, int place, Form_pg_attribute column)
{
    const Oid usual = GetDefaultOpClass(column->atttypid, BTREE_AM_OID);
    return OidIsValid(usual) && index->rd_opfamily[place] == get_opclass_family(usual) &&
           index->rd_indcollation[place] == column->attcollation;
}

// Whether all rows with the columns' values are found through its first columns; fills in which those are.
bool serves(Relation table, Relation index, const AttrNumber *numbers, int width, int *columns)
{
    Form_pg_index form = index->rd_index;
    if (index->rd_rel->relam != BTREE_AM_OID || !form->indisvalid || !form->indisready || !form->indislive ||
        form->indnkeyatts < width || !heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr))
        return false;
    bool found[INDEX_MAX_KEYS] = {};
    for (int i = 0; i < width; ++i) {
        columns[i] = place_of(form->indkey.values[i], numbers, width, found);
        if (columns[i] < 0 ||
            !has_usual_order(index, i, TupleDescAttr(RelationGetDescr(table), form->indkey.values[i] - 1)))
            return false;
        found[columns[i]] = true;
    }
    return true;
}

ScanKeyData *make_keys(Relation index, int width)
{
    auto *keys = static_cast<ScanKeyData *>(palloc0(sizeof(ScanKeyData) * width));
    for (int i = 0; i < width; ++i) {
        const Oid type = index->rd_opcintype[i];
        const Oid equal = get_opfamily_member(index->rd_opfamily[i], type, type, BTEqualStrategyNumber);
        ScanKeyEntryInitialize(&keys[i], 0, static_cast<AttrNumber>(i + 1), BTEqualStrategyNumber, InvalidOid,
                               index->rd_indcollation[i], get_opcode(equal), Datum(0));
    }
    return keys;
}

[[noreturn]] void refuse(Relation table, const Leaves *set)
{
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("partition \"%s\" has no index for the unique check of relation \"%s\"",
                    RelationGetRelationName(table), get_rel_name(set->root)),
             errdetail("Every partition needs a valid btree index that begins with its columns."),
             errhint("Create that index on the partitioned table, or call "
                     "privacy_scan.drop_unique_check(). The view privacy_scan.unique_checks says more.")));
}

void find_index(Relation table, const Leaves *set, Leaf *leaf)
{
    AttrNumber numbers[INDEX_MAX_KEYS];
    for (int i = 0; i < set->width; ++i)
        numbers[i] = get_attnum(leaf->relid, get_attname(set->root, set->numbers[i], false));
    leaf->columns = static_cast<int *>(palloc(sizeof(int) * set->width));
    List *indexes = RelationGetIndexList(table);
    ListCell *cell;
    foreach (cell, indexes) {
        Relation index = try_relation_open(lfirst_oid(cell), AccessShareLock);
        if (!index)
            continue;
        if (!OidIsValid(leaf->index) && serves(table, index, numbers, set->width, leaf->columns)) {
            leaf->index = RelationGetRelid(index);
            leaf->keys = make_keys(index, set->width);
        }
        relation_close(index, AccessShareLock);
        if (OidIsValid(leaf->index))
            break;
    }
    list_free(indexes);
    if (!OidIsValid(leaf->index))
        refuse(table, set);
}

// What is dropped meanwhile is left out; a message of that is on its way, or was taken as it was opened.
void add_leaf(Leaves *set, Oid relid)
{
    set->watch[set->watched++] = relid;
    Relation table = try_relation_open(relid, AccessShareLock);
    if (!table)
        return;
    const char kind = table->rd_rel->relkind;
    if (kind != RELKIND_PARTITIONED_TABLE) {
        Leaf *leaf = &set->leaves[set->count];
        *leaf = Leaf{relid, InvalidOid, nullptr, nullptr};
        if (kind != RELKIND_RELATION)
            refuse(table, set);
        find_index(table, set, leaf);
        set->watch[set->watched++] = leaf->index;
        ++set->count;
    }
    relation_close(table, AccessShareLock);
}

// Into the current memory context. No lock on the root is needed: whoever takes a partition away, or adds
// one, is noticed by its message.
void gather(Leaves *set)
{
    const TriggerRow row = read_root_trigger(set->trigger);
    set->root = row.relid;
    set->width = row.width;
    set->numbers = static_cast<AttrNumber *>(palloc(sizeof(AttrNumber) * INDEX_MAX_KEYS));
    for (int i = 0; i < row.width; ++i)
        set->numbers[i] = row.numbers[i];
    List *relids = get_rel_relkind(set->root) == RELKIND_PARTITIONED_TABLE
                       ? find_all_inheritors(set->root, NoLock, nullptr)
                       : list_make1_oid(set->root);
    set->leaves = static_cast<Leaf *>(palloc(sizeof(Leaf) * list_length(relids)));
    set->watch = static_cast<Oid *>(palloc(sizeof(Oid) * 2 * list_length(relids)));
    ListCell *cell;
    foreach (cell, relids)
        add_leaf(set, lfirst_oid(cell));
    list_free(relids);
}

// Again where anything changed meanwhile: which relations matter is known in the end only.
void rebuild(Leaves *set)
{
    while (!set->is_current) {
        CHECK_FOR_INTERRUPTS();
        const std::uint64_t before = invalidations;
        MemoryContext caller = CurrentMemoryContext;
        Leaves fresh{};
        fresh.trigger = set->trigger;
        fresh.memory = AllocSetContextCreate(caller, "unique check", ALLOCSET_SMALL_SIZES);
        MemoryContextSwitchTo(fresh.memory);
        gather(&fresh);
        MemoryContextSwitchTo(caller);
        MemoryContextSetParent(fresh.memory, CacheMemoryContext);
        if (set->memory)
            MemoryContextDelete(set->memory);
        fresh.version = set->version + 1;
        fresh.is_current = invalidations == before;
        *set = fresh;
    }
}

Leaves *find_set(Oid root_trigger)
{
    bool exists = false;
    auto *set = static_cast<Leaves *>(hash_search(sets, &root_trigger, HASH_ENTER, &exists));
    if (!exists) {
        *set = Leaves{};
        set->trigger = root_trigger;
    }
    return set;
}

} // namespace

const Leaves *current_leaves(Oid trigger)
{
    open_cache();
    AcceptInvalidationMessages();
    bool exists = false;
    auto *site = static_cast<Site *>(hash_search(sites, &trigger, HASH_ENTER, &exists));
    if (!exists)
        site->leaves = nullptr;
    if (!site->leaves || !site->leaves->is_current || site->leaves->version != site->version) {
        site->leaves = nullptr; // an error leaves it so
        Leaves *set = find_set(read_root_trigger(trigger).oid);
        rebuild(set);
        site->version = set->version;
        site->leaves = set;
    }
    return site->leaves;
}

} // namespace privacy_scan::unique
