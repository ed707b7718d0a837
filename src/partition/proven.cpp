// See proven.hpp.
#include "pg/postgres.hpp"

#include "partition/proven.hpp"

#include "pg/ident.hpp"

extern "C" {
#include <access/htup_details.h>
#include <access/table.h>
#include <catalog/indexing.h>
#include <catalog/pg_constraint.h>
#include <utils/inval.h>
#include <utils/syscache.h>
}

namespace privacy_scan::partition
{

void mark_proven(Oid relid, const char *name)
{
    const Oid constraint = get_relation_constraint_oid(relid, name, false);
    Relation catalog = table_open(ConstraintRelationId, RowExclusiveLock);
    HeapTuple tuple = SearchSysCacheCopy1(CONSTROID, ObjectIdGetDatum(constraint));
    reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple))->convalidated = true;
    CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
    CacheInvalidateRelcacheByRelid(relid);
    heap_freetuple(tuple);
    table_close(catalog, RowExclusiveLock);
}

namespace
{

constexpr const char *proof = "privacy_scan_proof";

}

void prove_default(pg::Spi &spi, Oid default_partition, const std::string &bounds)
{
    spi.run("ALTER TABLE " + pg::qualified_name(default_partition) + " ADD CONSTRAINT " + proof + " CHECK (NOT (" + bounds +
            ")) NOT VALID");
    pg::guarded([=] { mark_proven(default_partition, proof); });
}

void end_proof(pg::Spi &spi, Oid default_partition)
{
    spi.run("ALTER TABLE " + pg::qualified_name(default_partition) + " DROP CONSTRAINT " + proof);
}

} // namespace privacy_scan::partition
