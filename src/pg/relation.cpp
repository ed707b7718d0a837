// See relation.hpp.
#include "pg/relation.hpp"

extern "C" {
#include <access/htup_details.h>
#include <access/relation.h>
#include <access/table.h>
#include <catalog/indexing.h>
#include <catalog/pg_class.h>
#include <utils/syscache.h>
}

namespace privacy_scan::pg
{

FrozenHorizon frozen_horizon(Oid relid)
{
    HeapTuple tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(relid));
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for relation %u", relid);
    auto *form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
    const FrozenHorizon horizon{form->relfrozenxid, form->relminmxid};
    heap_freetuple(tuple);
    return horizon;
}

void set_frozen_horizon(Oid relid, FrozenHorizon horizon)
{
    Relation catalog = table_open(RelationRelationId, RowExclusiveLock);
    HeapTuple tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(relid));
    auto *form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
    form->relfrozenxid = horizon.xid;
    form->relminmxid = horizon.multi;
    CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
    heap_freetuple(tuple);
    table_close(catalog, RowExclusiveLock);
}

RelationScope::RelationScope(Oid relid, LOCKMODE lockmode)
    : relation_(guarded([=] { return try_relation_open(relid, lockmode); })),
      in_flight_(std::uncaught_exceptions())
{
    if (!relation_)
        fail(ERRCODE_UNDEFINED_TABLE, "relation with OID " + std::to_string(relid) + " does not exist");
}

RelationScope::~RelationScope()
{
    if (std::uncaught_exceptions() == in_flight_)
        relation_close(relation_, NoLock);
}

} // namespace privacy_scan::pg
