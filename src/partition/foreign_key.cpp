// See foreign_key.hpp.
#include "pg/postgres.hpp"

#include "partition/foreign_key.hpp"

#include "partition/proven.hpp"
#include "pg/compat.hpp"
#include "pg/ident.hpp"

extern "C" {
#include <access/table.h>
#include <access/xact.h>
#include <catalog/dependency.h>
#include <catalog/indexing.h>
#include <catalog/objectaddress.h>
#include <catalog/pg_constraint.h>
#include <catalog/pg_trigger.h>
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

void drop_inherited_keys(pg::Spi &spi, Oid partition)
{
    pg::CatalogScope scope;
    pg::Rows triggers = spi.run("SELECT t.oid FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_constraint k"
                                " ON k.oid = t.tgconstraint AND k.contype = 'f' AND k.conrelid = $1"
                                " WHERE t.tgrelid = $1 AND t.tgparentid <> 0",
                                {pg::oid_param(partition)});
    for (std::size_t row = 0; row < triggers.size(); ++row)
        pg::guarded([&, trigger = triggers.oid(row, 1)] { part_trigger(trigger, partition); });
    pg::Rows keys = spi.run("SELECT k.oid FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_constraint p"
                            " ON p.oid = k.conparentid AND p.conrelid <> k.conrelid"
                            " WHERE k.conrelid = $1 AND k.contype = 'f'",
                            {pg::oid_param(partition)});
    for (std::size_t row = 0; row < keys.size(); ++row)
        pg::guarded([key = keys.oid(row, 1)] { drop_inherited_key(key); });
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

void add_proven_key(pg::Spi &spi, Oid table, const ForeignKey &key)
{
    spi.run("ALTER TABLE " + pg::qualified_name(table) + " ADD CONSTRAINT " + pg::quote(key.name) + " " +
            key.definition + " NOT VALID");
    pg::guarded([&] { mark_proven(table, key.name.c_str()); });
}

} // namespace privacy_scan::partition
