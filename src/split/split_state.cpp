// See split_state.hpp.
#include "pg/postgres.hpp"

#include "split/split_state.hpp"

#include "pg/ident.hpp"
#include "pg/owner.hpp"

namespace privacy_scan::split
{

namespace
{

constexpr std::pair<Phase, const char *> phase_names[] = {{Phase::wait_for_writers, "wait for writers"},
                                                          {Phase::copy, "copy"},
                                                          {Phase::build_indexes, "build indexes"},
                                                          {Phase::catch_up, "catch up"},
                                                          {Phase::wait_for_readers, "wait for readers"},
                                                          {Phase::switch_over, "switch"},
                                                          {Phase::tidy, "tidy"},
                                                          {Phase::done, "done"}};

Phase phase_of(const std::string &name)
{
    for (const auto &[phase, text] : phase_names)
        if (name == text)
            return phase;
    pg::fail(ERRCODE_INTERNAL_ERROR, "unknown phase \"" + name + "\" of a split");
}

std::vector<Origin> read_sources(pg::Spi &spi, Oid relid)
{
    std::vector<Origin> sources;
    pg::Rows rows = spi.run("SELECT source::oid, lower, upper, file_node, blocks, copied_blocks"
                            " FROM privacy_scan.split_sources WHERE partition = $1 ORDER BY lower",
                            {pg::regclass_param(relid)});
    for (std::size_t row = 0; row < rows.size(); ++row)
        sources.push_back({rows.oid(row, 1),
                           {rows.int8(row, 2), rows.int8(row, 3)},
                           rows.oid(row, 4),
                           rows.int8(row, 5),
                           rows.int8(row, 6)});
    return sources;
}

std::vector<Piece> read_pieces(pg::Spi &spi, Oid relid)
{
    std::vector<Piece> pieces;
    pg::Rows rows = spi.run("SELECT piece::oid, lower, upper, is_indexed FROM privacy_scan.split_pieces"
                            " WHERE partition = $1 ORDER BY lower",
                            {pg::regclass_param(relid)});
    for (std::size_t row = 0; row < rows.size(); ++row)
        pieces.push_back({rows.oid(row, 1), {rows.int8(row, 2), rows.int8(row, 3)}, rows.boolean(row, 4)});
    return pieces;
}

} // namespace

const char *to_string(Phase phase)
{
    for (const auto &[value, text] : phase_names)
        if (value == phase)
            return text;
    return "";
}

std::vector<Oid> State::relids() const
{
    std::vector<Oid> relids;
    for (const Origin &source : sources)
        relids.push_back(source.relid);
    return relids;
}

std::optional<State> find_state(pg::Spi &spi, Oid relid)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run(
        "SELECT partition::oid, parent::oid, changes::oid, first_xid, coalesce(last_xid, 0), copied_rows,"
        " applied, coalesce(indexes, ''), phase, in_background, drops_sources"
        " FROM privacy_scan.split_states WHERE partition ="
        " (SELECT s.partition FROM privacy_scan.split_sources s WHERE s.source = $1)",
        {pg::regclass_param(relid)});
    if (rows.empty())
        return std::nullopt;
    State state;
    state.relid = rows.oid(0, 1);
    state.parent = rows.oid(0, 2);
    state.changes = rows.oid(0, 3);
    state.first_xid = static_cast<std::uint64_t>(rows.int8(0, 4));
    state.last_xid = static_cast<std::uint64_t>(rows.int8(0, 5));
    state.copied_rows = rows.int8(0, 6);
    state.applied = rows.int8(0, 7);
    state.indexes = rows.text(0, 8);
    state.phase = phase_of(rows.text(0, 9));
    state.in_background = rows.boolean(0, 10);
    state.drops_sources = rows.boolean(0, 11);
    state.sources = read_sources(spi, state.relid);
    state.pieces = read_pieces(spi, state.relid);
    return state;
}

State require_state(pg::Spi &spi, Oid relid)
{
    std::optional<State> state = find_state(spi, relid);
    if (!state)
        pg::fail(ERRCODE_UNDEFINED_OBJECT, "relation \"" + pg::relation_name(relid) + "\" is not being split",
                 {}, "Call privacy_scan.split_partition() first.");
    return *state;
}

void insert_state(pg::Spi &spi, const State &state)
{
    pg::CatalogScope scope;
    spi.run(
        "DELETE FROM privacy_scan.split_states s WHERE s.phase = 'done' AND NOT EXISTS"
        " (SELECT FROM privacy_scan.split_sources o, pg_catalog.pg_class c WHERE o.partition = s.partition"
        " AND c.oid = o.source)");
    const pg::Param relid = pg::regclass_param(state.relid);
    spi.run(
        "INSERT INTO privacy_scan.split_states (partition, parent, changes, first_xid, phase, in_background,"
        " drops_sources) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        {relid, pg::regclass_param(state.parent), pg::regclass_param(state.changes),
         pg::int8_param(static_cast<std::int64_t>(state.first_xid)), pg::text_param(to_string(state.phase)),
         pg::bool_param(state.in_background), pg::bool_param(state.drops_sources)});
    for (const Origin &source : state.sources)
        spi.run("INSERT INTO privacy_scan.split_sources (partition, source, lower, upper, file_node)"
                " VALUES ($1, $2, $3, $4, $5)",
                {relid, pg::regclass_param(source.relid), pg::int8_param(source.bounds.lower),
                 pg::int8_param(source.bounds.upper), pg::oid_param(source.file_node)});
    for (const Piece &piece : state.pieces)
        spi.run(
            "INSERT INTO privacy_scan.split_pieces (partition, piece, lower, upper) VALUES ($1, $2, $3, $4)",
            {relid, pg::regclass_param(piece.relid), pg::int8_param(piece.bounds.lower),
             pg::int8_param(piece.bounds.upper)});
}

void delete_state(pg::Spi &spi, Oid relid)
{
    pg::CatalogScope scope;
    spi.run("DELETE FROM privacy_scan.split_states WHERE partition = $1", {pg::regclass_param(relid)});
}

void store_state(pg::Spi &spi, const State &state)
{
    pg::CatalogScope scope;
    spi.run(
        "UPDATE privacy_scan.split_states SET last_xid = $2, copied_rows = $3, applied = $4, indexes = $5,"
        " phase = $6, waiting = $7, in_background = $8, drops_sources = $9, last_error = NULL,"
        " last_error_at = NULL WHERE partition = $1",
        {pg::regclass_param(state.relid), pg::int8_param(static_cast<std::int64_t>(state.last_xid)),
         pg::int8_param(state.copied_rows), pg::int8_param(state.applied), pg::text_param(state.indexes),
         pg::text_param(to_string(state.phase)), pg::text_or_null(state.waiting),
         pg::bool_param(state.in_background), pg::bool_param(state.drops_sources)});
    for (const Origin &source : state.sources)
        spi.run("UPDATE privacy_scan.split_sources SET blocks = $2, copied_blocks = $3 WHERE source = $1"
                " AND (blocks, copied_blocks) <> ($2, $3)",
                {pg::regclass_param(source.relid), pg::int8_param(source.blocks),
                 pg::int8_param(source.copied_blocks)});
    for (const Piece &piece : state.pieces)
        spi.run("UPDATE privacy_scan.split_pieces SET is_indexed = $2 WHERE piece = $1 AND is_indexed <> $2",
                {pg::regclass_param(piece.relid), pg::bool_param(piece.is_indexed)});
}

void store_switch(pg::Spi &spi, Oid relid, double lock_held_ms, int tries)
{
    pg::CatalogScope scope;
    spi.run("UPDATE privacy_scan.split_states SET switched_at = clock_timestamp(), lock_held_ms = $2,"
            " lock_tries = $3 WHERE partition = $1",
            {pg::regclass_param(relid), pg::float8_param(lock_held_ms), pg::int4_param(tries)});
}

void store_error(pg::Spi &spi, Oid relid, const pg::ErrorText &error)
{
    pg::CatalogScope scope;
    spi.run("UPDATE privacy_scan.split_states SET last_error = $2, last_error_at = clock_timestamp()"
            " WHERE partition = $1",
            {pg::regclass_param(relid), pg::text_param(error.sqlstate + ": " + error.message)});
}

} // namespace privacy_scan::split
