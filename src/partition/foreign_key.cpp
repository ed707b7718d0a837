// See foreign_key.hpp.
#include "pg/postgres.hpp"

#include "partition/foreign_key.hpp"

#include "pg/compat.hpp"
#include "pg/ident.hpp"

extern "C" {
#include <access/genam.h>
#include <access/htup_details.h>
#include <access/table.h>
#include <access/xact.h>
#include <catalog/catalog.h>
#include <catalog/dependency.h>
#include <catalog/indexing.h>
#include <catalog/objectaddress.h>
#include <catalog/pg_constraint.h>
#include <catalog/pg_depend.h>
#include <catalog/pg_trigger.h>
#include <commands/trigger.h>
#include <nodes/makefuncs.h>
#include <parser/parse_func.h>
#include <utils/array.h>
#include <utils/builtins.h>
#include <utils/fmgroids.h>
#include <utils/inval.h>
#include <utils/syscache.h>
}

namespace privacy_scan::partition
{

std::vector<Share> shares_in(pg::Spi &spi, const std::vector<Oid> &partitions)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run_kept("SELECT k.oid, k.conrelid, c.relowner FROM pg_catalog.pg_constraint k"
                                 " JOIN pg_catalog.pg_class c ON c.oid = k.conrelid"
                                 " WHERE k.confrelid = ANY ($1) AND k.contype = 'f' AND k.conparentid <> 0"
                                 " ORDER BY k.oid",
                                 {pg::oids_param(partitions)});
    std::vector<Share> shares;
    for (std::size_t row = 0; row < rows.size(); ++row)
        shares.push_back({rows.oid(row, 1), {rows.oid(row, 2), rows.oid(row, 3)}});
    return shares;
}

void drop_share(Oid constraint)
{
    ObjectAddress address;
    ObjectAddressSet(address, ConstraintRelationId, constraint);
    ConstraintSetParentConstraint(constraint, InvalidOid, InvalidOid);
    deleteDependencyRecordsForClass(ConstraintRelationId, constraint, ConstraintRelationId,
                                    DEPENDENCY_INTERNAL);
    CommandCounterIncrement();
    performDeletion(&address, DROP_RESTRICT, 0);
}

namespace
{

// Red. As DETACH PARTITION parts a key and its triggers from those of the set.
void part_trigger(Oid trigger, Oid partition)
{
    Relation catalog = table_open(TriggerRelationId, RowExclusiveLock);
    pg::compat::forget_parent_trigger(catalog, trigger, partition);
    table_close(catalog, RowExclusiveLock);
}

void drop_inherited_key(Oid constraint)
{
    ObjectAddress address;
    ObjectAddressSet(address, ConstraintRelationId, constraint);
    ConstraintSetParentConstraint(constraint, InvalidOid, InvalidOid);
    CommandCounterIncrement();
    performDeletion(&address, DROP_RESTRICT, 0);
}

} // namespace

void drop_inherited_keys(pg::Spi &spi, const std::vector<Oid> &partitions)
{
    pg::CatalogScope scope;
    const pg::Param relids = pg::oids_param(partitions);
    pg::Rows triggers =
        spi.run_kept("SELECT t.oid, t.tgrelid FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_trigger t"
                     " ON t.tgconstraint = k.oid AND t.tgrelid = k.conrelid AND t.tgparentid <> 0"
                     " WHERE k.conrelid = ANY ($1) AND k.contype = 'f'",
                     {relids});
    for (std::size_t row = 0; row < triggers.size(); ++row)
        pg::guarded([&, trigger = triggers.oid(row, 1), relid = triggers.oid(row, 2)] {
            part_trigger(trigger, relid);
        });
    pg::Rows keys = spi.run_kept("SELECT k.oid FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_constraint p"
                                 " ON p.oid = k.conparentid AND p.conrelid <> k.conrelid"
                                 " WHERE k.conrelid = ANY ($1) AND k.contype = 'f' ORDER BY k.oid",
                                 {relids});
    for (std::size_t row = 0; row < keys.size(); ++row)
        pg::guarded([key = keys.oid(row, 1)] { drop_inherited_key(key); });
}

std::vector<ForeignKey> foreign_keys_of(pg::Spi &spi, Oid set)
{
    std::vector<ForeignKey> keys;
    pg::Rows rows =
        spi.run("SELECT oid, confrelid, conname::text || ' ' || conindid || ' ' || pg_get_constraintdef(oid)"
                " FROM pg_catalog.pg_constraint"
                " WHERE conrelid = $1 AND contype = 'f' AND conparentid = 0 ORDER BY oid",
                {pg::oid_param(set)});
    for (std::size_t row = 0; row < rows.size(); ++row)
        keys.push_back({rows.oid(row, 1), rows.oid(row, 2), rows.text(row, 3)});
    return keys;
}

bool is_same(const std::vector<ForeignKey> &left, const std::vector<ForeignKey> &right)
{
    return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                      [](const ForeignKey &a, const ForeignKey &b) {
                          return a.constraint == b.constraint && a.definition == b.definition;
                      });
}

namespace
{

// Red throughout. One foreign key, from the set to a table.
struct KeyCopy {
    Oid from, to; // constraints
    Oid table, referenced, index;
    AttrMap *map; // from the set's columns to the table's
    bool is_deferrable, is_deferred, is_enforced;
};

AttrMap *map_columns(Oid set, Oid table)
{
    Relation from = table_open(set, NoLock), to = table_open(table, NoLock);
    AttrMap *map = pg::compat::attribute_map(RelationGetDescr(to), RelationGetDescr(from));
    table_close(to, NoLock);
    table_close(from, NoLock);
    return map;
}

int column_of_catalog(TupleDesc desc, const char *name)
{
    for (int i = 0; i < desc->natts; ++i)
        if (namestrcmp(&TupleDescAttr(desc, i)->attname, name) == 0)
            return i;
    return -1; // older versions haven't it
}

Datum map_numbers(const AttrMap *map, Datum numbers)
{
    ArrayType *array = DatumGetArrayTypePCopy(numbers);
    auto *number = reinterpret_cast<int16 *>(ARR_DATA_PTR(array));
    for (int i = 0; i < ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)); ++i)
        number[i] = map->attnums[number[i] - 1];
    return PointerGetDatum(array);
}

// The same tuple, of the table alone.
HeapTuple form_copy(KeyCopy *copy, Relation catalog, HeapTuple tuple)
{
    TupleDesc desc = RelationGetDescr(catalog);
    const auto columns = static_cast<std::size_t>(desc->natts);
    auto *values = static_cast<Datum *>(palloc0(columns * sizeof(Datum)));
    auto *nulls = static_cast<bool *>(palloc0(columns));
    auto *replaces = static_cast<bool *>(palloc0(columns));
    for (const char *name : {"conkey", "confdelsetcols"}) {
        const int i = column_of_catalog(desc, name);
        bool is_null = true;
        const Datum numbers = i < 0 ? Datum(0) : heap_getattr(tuple, i + 1, desc, &is_null);
        if (is_null)
            continue;
        values[i] = map_numbers(copy->map, numbers);
        replaces[i] = true;
    }
    HeapTuple formed = heap_modify_tuple(tuple, desc, values, nulls, replaces);
    auto form = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(formed));
    form->oid = copy->to = GetNewOidWithIndex(catalog, ConstraintOidIndexId, Anum_pg_constraint_oid);
    form->conrelid = copy->table;
    form->conislocal = true;
    form->coninhcount = 0;
    form->conparentid = InvalidOid;
    return formed;
}

void insert_key(KeyCopy *copy)
{
    HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(copy->from));
    if (!HeapTupleIsValid(tuple))
        ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE), errmsg("a foreign key was dropped meanwhile")));
    auto form = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple));
    copy->map = map_columns(form->conrelid, copy->table);
    copy->referenced = form->confrelid;
    copy->index = form->conindid;
    copy->is_deferrable = form->condeferrable;
    copy->is_deferred = form->condeferred;
    Relation catalog = table_open(ConstraintRelationId, RowExclusiveLock);
    const int enforced = column_of_catalog(RelationGetDescr(catalog), "conenforced");
    bool is_null;
    copy->is_enforced =
        enforced < 0 || DatumGetBool(heap_getattr(tuple, enforced + 1, RelationGetDescr(catalog), &is_null));
    CatalogTupleInsert(catalog, form_copy(copy, catalog, tuple));
    table_close(catalog, RowExclusiveLock);
    ReleaseSysCache(tuple);
}

// On the same columns, index and operators as the set's.
void copy_dependencies(const KeyCopy *copy)
{
    Relation catalog = table_open(DependRelationId, RowExclusiveLock);
    ObjectAddress own;
    ObjectAddressSet(own, ConstraintRelationId, copy->to);
    ScanKeyData keys[2];
    ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
                ObjectIdGetDatum(ConstraintRelationId));
    ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(copy->from));
    SysScanDesc scan = systable_beginscan(catalog, DependDependerIndexId, true, nullptr, 2, keys);
    while (HeapTuple tuple = systable_getnext(scan)) {
        auto form = reinterpret_cast<Form_pg_depend>(GETSTRUCT(tuple));
        ObjectAddress on;
        ObjectAddressSubSet(on, form->refclassid, form->refobjid, form->refobjsubid);
        if (form->deptype == DEPENDENCY_AUTO)
            ObjectAddressSubSet(on, RelationRelationId, copy->table,
                                copy->map->attnums[form->refobjsubid - 1]);
        recordDependencyOn(&own, &on, static_cast<DependencyType>(form->deptype));
    }
    systable_endscan(scan);
    table_close(catalog, RowExclusiveLock);
}

// By the names that PostgreSQL gives them.
void make_check_trigger(const KeyCopy *copy, char *function, int16 event)
{
    CreateTrigStmt *trigger = makeNode(CreateTrigStmt);
    trigger->isconstraint = trigger->row = true;
    trigger->trigname = pstrdup("RI_ConstraintTrigger_c");
    trigger->funcname = SystemFuncName(function);
    trigger->timing = TRIGGER_TYPE_AFTER;
    trigger->events = event;
    trigger->deferrable = copy->is_deferrable;
    trigger->initdeferred = copy->is_deferred;
    CreateTrigger(trigger, nullptr, copy->table, copy->referenced, copy->to, copy->index, InvalidOid,
                  InvalidOid, nullptr, true, false);
    CommandCounterIncrement();
}

void copy_key(Oid constraint, Oid table)
{
    KeyCopy copy{};
    copy.from = constraint;
    copy.table = table;
    insert_key(&copy);
    copy_dependencies(&copy);
    CommandCounterIncrement();
    if (!copy.is_enforced)
        return;
    make_check_trigger(&copy, pstrdup("RI_FKey_check_ins"), TRIGGER_TYPE_INSERT);
    make_check_trigger(&copy, pstrdup("RI_FKey_check_upd"), TRIGGER_TYPE_UPDATE);
}

} // namespace

void add_proven_key(Oid table, const ForeignKey &key)
{
    pg::guarded([&] { copy_key(key.constraint, table); });
}

} // namespace privacy_scan::partition
