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

std::optional<State> find_state(pg::Spi &spi, Oid relid)
{
    pg::CatalogScope scope;
    pg::Rows rows =
        spi.run("SELECT parent::oid, changes::oid, file_node, first_xid, coalesce(last_xid, 0), blocks,"
                " copied_blocks, copied_rows, applied, coalesce(indexes, ''), phase"
                " FROM privacy_scan.split_states WHERE partition = $1",
                {pg::regclass_param(relid)});
    if (rows.empty())
        return std::nullopt;
    State state;
    state.relid = relid;
    state.parent = rows.oid(0, 1);
    state.changes = rows.oid(0, 2);
    state.file_node = rows.oid(0, 3);
    state.first_xid = static_cast<std::uint64_t>(rows.int8(0, 4));
    state.last_xid = static_cast<std::uint64_t>(rows.int8(0, 5));
    state.blocks = rows.int8(0, 6);
    state.copied_blocks = rows.int8(0, 7);
    state.copied_rows = rows.int8(0, 8);
    state.applied = rows.int8(0, 9);
    state.indexes = rows.text(0, 10);
    state.phase = phase_of(rows.text(0, 11));
    state.pieces = read_pieces(spi, relid);
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
    spi.run("DELETE FROM privacy_scan.split_states s WHERE NOT EXISTS"
            " (SELECT FROM pg_catalog.pg_class c WHERE c.oid = s.partition)");
    spi.run("INSERT INTO privacy_scan.split_states (partition, parent, changes, file_node, first_xid, "
            "blocks, phase)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            {pg::regclass_param(state.relid), pg::regclass_param(state.parent),
             pg::regclass_param(state.changes), pg::oid_param(state.file_node),
             pg::int8_param(static_cast<std::int64_t>(state.first_xid)), pg::int8_param(state.blocks),
             pg::text_param(to_string(state.phase))});
    for (const Piece &piece : state.pieces)
        spi.run(
            "INSERT INTO privacy_scan.split_pieces (partition, piece, lower, upper) VALUES ($1, $2, $3, $4)",
            {pg::regclass_param(state.relid), pg::regclass_param(piece.relid),
             pg::int8_param(piece.bounds.lower), pg::int8_param(piece.bounds.upper)});
}

void delete_state(pg::Spi &spi, Oid relid)
{
    pg::CatalogScope scope;
    spi.run("DELETE FROM privacy_scan.split_states WHERE partition = $1", {pg::regclass_param(relid)});
}

void store_state(pg::Spi &spi, const State &state)
{
    pg::CatalogScope scope;
    spi.run("UPDATE privacy_scan.split_states SET last_xid = $2, copied_blocks = $3, copied_rows = $4,"
            " applied = $5, indexes = $6, phase = $7, blocks = $8, last_error = NULL, last_error_at = NULL"
            " WHERE partition = $1",
            {pg::regclass_param(state.relid), pg::int8_param(static_cast<std::int64_t>(state.last_xid)),
             pg::int8_param(state.copied_blocks), pg::int8_param(state.copied_rows),
             pg::int8_param(state.applied), pg::text_param(state.indexes),
             pg::text_param(to_string(state.phase)), pg::int8_param(state.blocks)});
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
