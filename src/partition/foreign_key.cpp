// See foreign_key.hpp.
#include "pg/postgres.hpp"

#include "partition/foreign_key.hpp"

extern "C" {
#include <access/xact.h>
#include <catalog/dependency.h>
#include <catalog/objectaddress.h>
#include <catalog/pg_constraint.h>
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

} // namespace privacy_scan::partition
