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

partition::Cell bounds_of(const partition::Layout &layout, Oid relid, const std::string &relname)
{
    for (std::size_t i = 0; i < layout.partitions.size(); ++i)
        if (layout.partitions[i] == relid)
            return layout.taken[i];
    pg::fail(ERRCODE_WRONG_OBJECT_TYPE, "relation \"" + relname + "\" is the DEFAULT partition", {},
             "Call privacy_scan.drain_default() for that.");
}

Source read_source(pg::Spi &spi, const partition::Layout &layout, Oid relid)
{
    const std::string relname = pg::relation_name(relid);
    const partition::Cell bounds = bounds_of(layout, relid, relname);
    pg::Rows size = spi.run("SELECT pg_total_relation_size($1)", {pg::oid_param(relid)});
    return {relid, relname, pg::qualified_name(relid), bounds, size.int8(0, 1)};
}

// The set that all of them are partitions of.
Oid common_parent(pg::Spi &spi, const std::vector<Oid> &relids)
{
    Oid parent = InvalidOid;
    for (const Oid relid : relids) {
        pg::require_owner(relid);
        const Oid other = parent_of(spi, relid, pg::relation_name(relid));
        if (OidIsValid(parent) && parent != other)
            pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "the partitions are not of one relation", {},
                     "Name adjacent partitions of one set.");
        parent = other;
    }
    return parent;
}

void require_adjacent(const Stretch &stretch)
{
    for (std::size_t i = 1; i < stretch.sources.size(); ++i) {
        const Source &left = stretch.sources[i - 1], &right = stretch.sources[i];
        if (left.bounds.upper != right.bounds.lower)
            pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "the partitions are not adjacent",
                     left.relid == right.relid ? "Partition \"" + left.relname + "\" is named twice."
                                               : "Between \"" + left.relname + "\" and \"" + right.relname +
                                                     "\" others lie, or a gap.",
                     "Name each partition from the first to the last of a stretch once.");
    }
}

} // namespace

Stretch read_stretch(pg::Spi &spi, const std::vector<Oid> &relids)
{
    pg::CatalogPath path;
    const Oid parent = common_parent(spi, relids);
    Stretch stretch{
        partition::PartitionSet(pg::require_owner(parent), partition::require_policy(spi, parent)), {}};
    const partition::Layout layout = stretch.set.layout();
    for (const Oid relid : relids)
        stretch.sources.push_back(read_source(spi, layout, relid));
    std::sort(stretch.sources.begin(), stretch.sources.end(),
              [](const Source &left, const Source &right) { return left.bounds.lower < right.bounds.lower; });
    require_adjacent(stretch);
    return stretch;
}

std::vector<Oid> Stretch::relids() const
{
    std::vector<Oid> relids;
    for (const Source &source : sources)
        relids.push_back(source.relid);
    return relids;
}

std::int64_t Stretch::all_bytes() const
{
    std::int64_t bytes = 0;
    for (const Source &source : sources)
        bytes += source.all_bytes;
    return bytes;
}

std::string Stretch::in_words() const
{
    return sources.size() == 1
               ? "partition \"" + sources.front().relname + "\""
               : "partitions \"" + sources.front().relname + "\" to \"" + sources.back().relname + "\"";
}

namespace
{

// $1 the partition, $2 its parent.
constexpr const char *refusals_of_partition =
    "SELECT v.message, v.detail, v.hint FROM pg_catalog.pg_class c, pg_catalog.pg_class p, LATERAL (VALUES"
    " (c.relkind <> 'r' OR c.relam <> 2, 'it is not a plain table of the heap access method', NULL, NULL),"
    " (c.relpersistence <> 'p', 'it is unlogged', 'A crash would empty it and not what is copied.', NULL),"
    " (c.relowner <> p.relowner, 'it has another owner than the partitioned relation', NULL,"
    "  'Run ALTER TABLE .. OWNER TO.'),"
    " (EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE confrelid = $1 AND contype = 'f' AND conparentid = "
    "0),"
    "  'foreign keys refer to it alone', 'PostgreSQL detaches no partition with rows that others refer to.',"
    "  'Let the partition age out instead.'),"
    " (EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal AND tgparentid = 0),"
    "  'it has triggers of its own', 'The pieces would not have them.', 'Create them on the partitioned "
    "relation, or drop them.'))"
    " AS v (applies, message, detail, hint) WHERE c.oid = $1 AND p.oid = $2 AND v.applies";

// $1 the partitioned relation.
constexpr const char *refusals_of_parent =
    "SELECT v.message, v.detail, v.hint FROM (VALUES"
    " (NOT EXISTS (SELECT FROM pg_catalog.pg_index WHERE indrelid = $1 AND indisprimary AND indisvalid),"
    "  'the partitioned relation has no primary key', 'Rows that change meanwhile are told apart by it.', "
    "NULL),"
    " (EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = $1 AND confrelid = $1 AND contype = "
    "'f'),"
    "  'a foreign key of the relation refers to itself', NULL, 'Let the partition age out instead.'),"
    " (EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = $1 AND contype = 'f' AND NOT "
    "convalidated),"
    "  'a foreign key of the relation is not validated', NULL, 'Run ALTER TABLE .. VALIDATE CONSTRAINT.'),"
    " (EXISTS (SELECT FROM pg_catalog.pg_index x WHERE x.indrelid = $1 AND NOT x.indisvalid),"
    "  'an index of the partitioned relation is not valid', NULL, 'Attach the missing indexes of its "
    "partitions, or drop it.'))"
    " AS v (applies, message, detail, hint) WHERE v.applies";

void add_refusals(const pg::Rows &rows, const std::string &about, std::vector<Refusal> &found)
{
    for (std::size_t row = 0; row < rows.size(); ++row)
        found.push_back({about + rows.text(row, 1), rows.text(row, 2), rows.text(row, 3)});
}

} // namespace

std::vector<Refusal> find_refusals(pg::Spi &spi, const Stretch &stretch)
{
    pg::CatalogPath path;
    std::vector<Refusal> found;
    for (const Source &source : stretch.sources)
        add_refusals(
            spi.run(refusals_of_partition, {pg::oid_param(source.relid), pg::oid_param(stretch.parent())}),
            stretch.sources.size() == 1 ? "" : "of \"" + source.relname + "\", ", found);
    add_refusals(spi.run(refusals_of_parent, {pg::oid_param(stretch.parent())}), {}, found);
    return found;
}

void require_fit(pg::Spi &spi, Oid parent)
{
    pg::Rows rows = spi.run(refusals_of_parent, {pg::oid_param(parent)});
    if (!rows.empty())
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "relation \"" + pg::relation_name(parent) + "\" was changed meanwhile: " + rows.text(0, 1), rows.text(0, 2),
                 rows.text(0, 3));
}

namespace
{

// The smallest and largest key, on the axis; nothing where there are no rows.
std::optional<partition::Cell> keys_within(pg::Spi &spi, const Stretch &stretch)
{
    const std::string key = pg::quote(stretch.set.policy().key);
    const partition::KeyAxis &axis = stretch.set.key();
    pg::OwnerScope owner(stretch.owner());
    pg::Rows rows =
        spi.run("SELECT min(" + key + "), max(" + key + ") FROM ONLY " + stretch.sources.front().name);
    if (rows.is_null(0, 1))
        return std::nullopt;
    const Datum least = rows.datum(0, 1), greatest = rows.datum(0, 2);
    return partition::Cell{pg::guarded([&] { return axis.axis_of(least); }),
                           pg::guarded([&] { return axis.axis_of(greatest); })};
}

Refusal nothing_in(const Stretch &stretch, const std::string &why)
{
    return {"there is nothing to split in " + stretch.in_words(), why,
            "The width of the cells is that of the policy: see privacy_scan.partition_policies."};
}

} // namespace

std::optional<Refusal> refuse_many(const Stretch &stretch, const std::vector<partition::Cell> &cells)
{
    if (!cells.empty() && cells.back().upper == stretch.bounds().upper)
        return std::nullopt;
    return Refusal{stretch.in_words() + " would become more than " +
                       std::to_string(settings::partition_max_created()) + " partitions",
                   "privacy_scan.partition_max_created limits what one call may create.",
                   "Raise it, or take a longer interval."};
}

Tiling tile_stretch(pg::Spi &spi, const Stretch &stretch)
{
    if (stretch.sources.size() > 1)
        return {{stretch.bounds()}, {}};
    const std::optional<partition::Cell> keys = keys_within(spi, stretch);
    if (!keys)
        return {{}, nothing_in(stretch, "It has no rows.")};
    std::vector<partition::Cell> cells = tile(stretch.set.grid(), stretch.bounds(), keys->lower, keys->upper,
                                              static_cast<std::size_t>(settings::partition_max_created()));
    if (cells.empty())
        return {{}, nothing_in(stretch, "Its smallest key lies where the set's grid has no cell.")};
    if (cells.size() == 1)
        return {cells, nothing_in(stretch, "Its rows lie within one cell of the set's grid.")};
    return {cells, refuse_many(stretch, cells)};
}

} // namespace privacy_scan::split
