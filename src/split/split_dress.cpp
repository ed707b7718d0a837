// What the pieces get of the parent after they were made: indexes, and what others alter meanwhile. See
// split_pieces.hpp.
#include "pg/postgres.hpp"

#include "split/split_pieces.hpp"

#include "partition/partition_create.hpp"
#include "pg/clock.hpp"
#include "pg/ident.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <utils/timestamp.h>
}

namespace privacy_scan::split
{

namespace
{

// $1 the parent, $2 the pieces: what is to be said of their columns. Versions differ in what a column has.
constexpr const char *other_columns =
    "WITH columns AS (SELECT a.attrelid, a.attname, a.attstorage AS storage, coalesce(a.attstattarget, -1) "
    "AS target,"
    "   a.attgenerated AS generated, CASE WHEN a.atthasdef THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) "
    "END AS value,"
    "   pg_catalog.to_jsonb(a)->>'attcompression' AS compression"
    "  FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND "
    "d.adnum = a.attnum"
    "  WHERE (a.attrelid = $1 OR a.attrelid = ANY ($2)) AND a.attnum > 0 AND NOT a.attisdropped)"
    " SELECT c.attrelid, 'ALTER COLUMN ' || pg_catalog.quote_ident(c.attname) || s.said"
    "  FROM columns p JOIN columns c ON c.attname = p.attname AND c.attrelid <> p.attrelid CROSS JOIN "
    "LATERAL (VALUES"
    "   (p.generated = '' AND c.generated <> '', ' DROP EXPRESSION'),"
    "   (p.generated = '' AND p.value IS DISTINCT FROM CASE WHEN c.generated = '' THEN c.value END,"
    "    coalesce(' SET DEFAULT ' || p.value, ' DROP DEFAULT')),"
    "   (p.storage <> c.storage, ' SET STORAGE ' || CASE p.storage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN "
    "'EXTERNAL'"
    "    WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END),"
    "   (p.compression <> c.compression, ' SET COMPRESSION ' || CASE p.compression WHEN 'p' THEN 'pglz' WHEN "
    "'l' THEN 'lz4'"
    "    ELSE 'default' END),"
    "   (p.target <> c.target, ' SET STATISTICS ' || p.target)) AS s (differs, said)"
    " WHERE p.attrelid = $1 AND s.differs";

} // namespace

void align_columns(pg::Spi &spi, const State &state)
{
    std::vector<Oid> pieces;
    for (const Piece &piece : state.pieces)
        pieces.push_back(piece.relid);
    pg::OwnerScope owner(pg::require_owner(state.parent).owner);
    pg::Rows rows = spi.run(other_columns, {pg::oid_param(state.parent), pg::oids_param(pieces)});
    for (std::size_t row = 0; row < rows.size(); ++row)
        spi.run("ALTER TABLE " + pg::qualified_name(rows.oid(row, 1)) + " " + rows.text(row, 2));
}

// All are aligned at once.
bool are_aligned(pg::Spi &spi, const State &state)
{
    return spi.run(other_columns, {pg::oid_param(state.parent), pg::oids_param({state.pieces.front().relid})})
        .empty();
}

std::string indexes_of(pg::Spi &spi, Oid parent)
{
    return spi
        .run("SELECT string_agg(indexrelid::text || CASE WHEN indisvalid THEN '' ELSE '!' END, ' ' ORDER BY "
             "indexrelid) FROM pg_catalog.pg_index WHERE indrelid = $1",
             {pg::oid_param(parent)})
        .text(0, 1);
}

// As partitions of an empty twin of the parent, from which they part again: PostgreSQL itself then builds
// what a partition must have, and gives it the names that it gives.
std::int64_t index_pieces(pg::Spi &spi, const partition::PartitionSet &set, State &state)
{
    const double enough_ms = settings::split_rate_kb() > 0 ? 100 : 500; // then others' commits flush it, too
    const TimestampTz begun = GetCurrentTimestamp();
    std::int64_t bytes = 0;
    pg::OwnerScope owner(set.table().owner);
    const std::string twin =
        pg::quote(pg::schema_name(state.parent), partition::new_partition_name(state.parent, "_twin"));
    spi.run("CREATE TABLE " + twin + " (LIKE " + set.name() +
            " INCLUDING ALL EXCLUDING IDENTITY EXCLUDING STATISTICS) PARTITION BY RANGE (" +
            pg::quote(set.policy().key) + ")");
    for (Piece &piece : state.pieces) {
        if (piece.is_indexed)
            continue;
        const std::string name = pg::qualified_name(piece.relid);
        spi.run("ALTER TABLE " + twin + " ATTACH PARTITION " + name + " " +
                partition::bounds_clause(set.key(), piece.bounds));
        spi.run("ALTER TABLE " + twin + " DETACH PARTITION " + name);
        spi.run("ANALYZE " + name);
        piece.is_indexed = true;
        bytes += spi.run("SELECT pg_indexes_size($1)", {pg::oid_param(piece.relid)}).int8(0, 1);
        if (pg::ms_since(begun) > enough_ms)
            break;
    }
    spi.run("DROP TABLE " + twin);
    return bytes;
}

} // namespace privacy_scan::split
