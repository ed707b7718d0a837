// See split_source.hpp.
#include "pg/postgres.hpp"

#include "split/split_source.hpp"

#include "pg/ident.hpp"
#include "settings/settings.hpp"
#include "split/split_plan.hpp"

namespace privacy_scan::split
{

namespace
{

Oid parent_of(pg::Spi &spi, Oid relid, const std::string &relname)
{
    pg::Rows rows = spi.run("SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c"
                            " ON c.oid = i.inhrelid WHERE i.inhrelid = $1 AND c.relispartition",
                            {pg::oid_param(relid)});
    if (rows.empty())
        pg::fail(ERRCODE_WRONG_OBJECT_TYPE, "relation \"" + relname + "\" is not a partition", {},
                 "Name one partition of a set that manage_partitions() or adopt_table() knows.");
    return rows.oid(0, 1);
}

partition::Cell bounds_of(const partition::PartitionSet &set, Oid relid, const std::string &relname)
{
    const partition::Layout layout = set.layout();
    for (std::size_t i = 0; i < layout.partitions.size(); ++i)
        if (layout.partitions[i] == relid)
            return layout.taken[i];
    pg::fail(ERRCODE_WRONG_OBJECT_TYPE, "relation \"" + relname + "\" is the DEFAULT partition", {},
             "Call privacy_scan.drain_default() for that.");
}

} // namespace

Source read_source(pg::Spi &spi, Oid relid)
{
    pg::CatalogPath path;
    const pg::OwnedTable table = pg::require_owner(relid);
    const std::string relname = pg::relation_name(relid);
    const Oid parent = parent_of(spi, relid, relname);
    partition::PartitionSet set(pg::require_owner(parent), partition::require_policy(spi, parent));
    const partition::Cell bounds = bounds_of(set, relid, relname);
    pg::Rows size =
        spi.run("SELECT pg_relation_size($1), pg_total_relation_size($1)", {pg::oid_param(relid)});
    return {table,           relname,        pg::qualified_name(relid), std::move(set), bounds,
            size.int8(0, 1), size.int8(0, 2)};
}

namespace
{

// $1 the partition, $2 its parent.
constexpr const char *refusals =
    "SELECT v.message, v.detail, v.hint FROM (VALUES"
    " ((SELECT relkind <> 'r' OR relam <> 2 FROM pg_catalog.pg_class WHERE oid = $1),"
    "  'it is not a plain table of the heap access method', NULL, NULL),"
    " ((SELECT relpersistence <> 'p' FROM pg_catalog.pg_class WHERE oid = $1),"
    "  'it is unlogged', 'A crash would empty it and not what is copied.', NULL),"
    " ((SELECT c.relowner <> p.relowner FROM pg_catalog.pg_class c, pg_catalog.pg_class p WHERE c.oid = $1 "
    "AND "
    "p.oid = $2),"
    "  'it has another owner than the partitioned relation', NULL, 'Run ALTER TABLE .. OWNER TO.'),"
    " (NOT EXISTS (SELECT FROM pg_catalog.pg_index WHERE indrelid = $2 AND indisprimary AND indisvalid),"
    "  'the partitioned relation has no primary key', 'Rows that change meanwhile are told apart by it.', "
    "NULL),"
    " (EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE confrelid IN ($1, $2) AND contype = 'f'),"
    "  'foreign keys refer to the relation', 'PostgreSQL detaches no partition with rows that others refer "
    "to.',"
    "  'Let the partition age out instead.'),"
    " (EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = $2 AND contype = 'f' AND NOT "
    "convalidated),"
    "  'a foreign key of the relation is not validated', NULL, 'Run ALTER TABLE .. VALIDATE CONSTRAINT.'),"
    " (EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal AND tgparentid = 0),"
    "  'it has triggers of its own', 'The pieces would not have them.', 'Create them on the partitioned "
    "relation, or drop them.'),"
    " (EXISTS (SELECT FROM pg_catalog.pg_index x WHERE x.indrelid = $2 AND NOT x.indisvalid),"
    "  'an index of the partitioned relation is not valid', NULL, 'Attach the missing indexes of its "
    "partitions, or drop it.'))"
    " AS v (applies, message, detail, hint) WHERE v.applies";

} // namespace

std::vector<Refusal> find_refusals(pg::Spi &spi, const Source &source)
{
    pg::CatalogPath path;
    std::vector<Refusal> found;
    pg::Rows rows =
        spi.run(refusals, {pg::oid_param(source.table.relid), pg::oid_param(source.set.table().relid)});
    for (std::size_t row = 0; row < rows.size(); ++row)
        found.push_back({rows.text(row, 1), rows.text(row, 2), rows.text(row, 3)});
    return found;
}

std::vector<partition::Cell> cells_of(pg::Spi &spi, const Source &source)
{
    const std::string key = pg::quote(source.set.policy().key);
    pg::OwnerScope owner(source.table.owner);
    pg::Rows rows = spi.run("SELECT min(" + key + "), max(" + key + ") FROM ONLY " + source.name);
    if (rows.is_null(0, 1))
        return {};
    const Datum least = rows.datum(0, 1), greatest = rows.datum(0, 2);
    const partition::KeyAxis &axis = source.set.key();
    return tile(source.set.grid(), source.bounds, pg::guarded([&] { return axis.axis_of(least); }),
                pg::guarded([&] { return axis.axis_of(greatest); }),
                static_cast<std::size_t>(settings::partition_max_created()));
}

} // namespace privacy_scan::split
