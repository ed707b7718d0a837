// See foreign_key.hpp.
#include "pg/postgres.hpp"

#include "partition/foreign_key.hpp"

#include "pg/ident.hpp"

extern "C" {
#include <access/htup_details.h>
#include <access/table.h>
#include <access/xact.h>
#include <catalog/dependency.h>
#include <catalog/indexing.h>
#include <catalog/objectaddress.h>
#include <catalog/pg_constraint.h>
#include <utils/syscache.h>
}

namespace privacy_scan::partition
{

std::vector<Share> shares_in(pg::Spi &spi, Oid partition)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run("SELECT k.oid, k.conrelid, c.relowner FROM pg_catalog.pg_constraint k"
                            " JOIN pg_catalog.pg_class c ON c.oid = k.conrelid"
                            " WHERE k.confrelid = $1 AND k.contype = 'f' AND k.conparentid <> 0"
                            " ORDER BY k.oid",
                            {pg::oid_param(partition)});
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

std::vector<ForeignKey> foreign_keys_of(pg::Spi &spi, Oid set)
{
    std::vector<ForeignKey> keys;
    pg::Rows rows = spi.run("SELECT conname::text, pg_get_constraintdef(oid), confrelid FROM"
                            " pg_catalog.pg_constraint"
                            " WHERE conrelid = $1 AND contype = 'f' AND conparentid = 0 ORDER BY oid",
                            {pg::oid_param(set)});
    for (std::size_t row = 0; row < rows.size(); ++row)
        keys.push_back({rows.text(row, 1), rows.text(row, 2), rows.oid(row, 3)});
    return keys;
}

namespace
{

// Red.
void mark_validated(Oid constraint)
{
    Relation catalog = table_open(ConstraintRelationId, RowExclusiveLock);
    HeapTuple tuple = SearchSysCacheCopy1(CONSTROID, ObjectIdGetDatum(constraint));
    reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple))->convalidated = true;
    CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
    heap_freetuple(tuple);
    table_close(catalog, RowExclusiveLock);
}

} // namespace

void add_proven_key(pg::Spi &spi, Oid table, const ForeignKey &key)
{
    spi.run("ALTER TABLE " + pg::qualified_name(table) + " ADD CONSTRAINT " + pg::quote(key.name) + " " +
            key.definition + " NOT VALID");
    const Oid constraint =
        spi.run("SELECT oid FROM pg_catalog.pg_constraint WHERE conrelid = $1 AND conname = $2::name",
                {pg::oid_param(table), pg::text_param(key.name)})
            .oid(0, 1);
    pg::guarded([=] { mark_validated(constraint); });
}

} // namespace privacy_scan::partition
