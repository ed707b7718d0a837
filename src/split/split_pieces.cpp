// See split_pieces.hpp.
#include "pg/postgres.hpp"

#include "split/split_pieces.hpp"

#include "partition/partition_create.hpp"
#include "pg/clock.hpp"
#include "pg/ident.hpp"
#include "pg/lock.hpp"
#include "pg/privileges.hpp"
#include "pg/strong_lock.hpp"

extern "C" {
#include <access/transam.h>
#include <storage/lmgr.h>
#include <utils/builtins.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::split
{

namespace
{

constexpr const char *object_name = "privacy_scan_split"; // of the trigger and the CHECK constraints

std::string bound_check(const Source &source, const partition::Cell &cell)
{
    const Oid type = source.set.key().type();
    const std::string type_name = pg::guarded([=] { return format_type_be_qualified(type); });
    const std::string key = pg::quote(source.set.policy().key);
    auto literal = [&](std::int64_t at) {
        return pg::quote_text(source.set.key().text_of(at)) + "::" + type_name;
    };
    std::string check = key + " IS NOT NULL";
    if (cell.lower != partition::axis_min)
        check += " AND " + key + " >= " + literal(cell.lower);
    if (cell.upper != partition::axis_max)
        check += " AND " + key + " < " + literal(cell.upper);
    return check;
}

// Beside the one that is split, its own name is taken where it is that of the grid.
Piece make_piece(pg::Spi &spi, const Source &source, const partition::Blueprint &blueprint,
                 const partition::Cell &cell)
{
    const Oid parent = source.set.table().relid;
    const std::int64_t named = cell.lower == partition::axis_min ? cell.upper - 1 : cell.lower;
    const std::optional<partition::Cell> of_grid = source.set.grid().cell_at(named);
    const std::string suffix =
        source.set.grid().suffix(cell.lower == partition::axis_min && of_grid ? of_grid->lower : named);
    const Oid relid = partition::create_table(
        spi, parent, blueprint, partition::new_partition_name(parent, suffix), partition::WithIndexes::no);
    spi.run("ALTER TABLE " + pg::qualified_name(relid) + " ADD CONSTRAINT " + object_name + " CHECK (" +
            bound_check(source, cell) + ")");
    return {relid, cell, false};
}

// The columns of the primary key, in its order.
std::string key_columns(pg::Spi &spi, Oid relid)
{
    pg::Rows rows = spi.run(
        "SELECT string_agg(quote_ident(a.attname::text), ', ' ORDER BY k.place)"
        " FROM pg_catalog.pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place),"
        " pg_catalog.pg_attribute a WHERE i.indrelid = $1 AND i.indisprimary AND k.place <= i.indnkeyatts"
        " AND a.attrelid = $1 AND a.attnum = k.number",
        {pg::oid_param(relid)});
    return rows.text(0, 1);
}

Oid make_changes(pg::Spi &spi, const Source &source)
{
    const Oid relid = source.table.relid;
    const std::string name = partition::new_partition_name(relid, "_changes");
    const std::string qualified = pg::quote(pg::schema_name(relid), name);
    spi.run("CREATE TABLE " + qualified + " AS SELECT " + key_columns(spi, relid) + " FROM ONLY " +
            source.name + " WITH NO DATA");
    const char *text = name.c_str();
    const Oid changes = pg::guarded([=] { return get_relname_relid(text, get_rel_namespace(relid)); });
    pg::undo_default_privileges(spi, changes);
    return changes;
}

// ALWAYS: also for whom session_replication_role silences others, such as retention and replication.
void make_trigger(pg::Spi &spi, const Source &source, Oid changes)
{
    spi.run("CREATE TRIGGER " + std::string(object_name) + " AFTER INSERT OR UPDATE OR DELETE ON " +
            source.name + " FOR EACH ROW EXECUTE FUNCTION privacy_scan.capture_change(" +
            pg::quote_text(pg::schema_name(changes)) + ", " + pg::quote_text(pg::relation_name(changes)) +
            ")");
    spi.run("ALTER TABLE " + source.name + " ENABLE ALWAYS TRIGGER " + object_name);
}

Oid file_node_of(pg::Spi &spi, Oid relid)
{
    return spi.run("SELECT pg_relation_filenode($1)", {pg::oid_param(relid)}).oid(0, 1);
}

} // namespace

State prepare(pg::Spi &spi, const Source &source, const std::vector<partition::Cell> &cells)
{
    State state;
    state.relid = source.table.relid;
    state.parent = source.set.table().relid;
    {
        pg::OwnerScope owner(source.table.owner);
        const partition::Blueprint blueprint = partition::read_blueprint(spi, state.parent, state.relid);
        for (const partition::Cell &cell : cells)
            state.pieces.push_back(make_piece(spi, source, blueprint, cell));
        state.changes = make_changes(spi, source);
        pg::GucScope settings;
        pg::ask_patiently(settings);
        pg::LockWait wait;
        const Oid relid = state.relid;
        auto failure = pg::try_with_locks({relid}, wait, [&] {
            pg::guarded([=] {
                pg::note_lock(ShareRowExclusiveLock);
                LockRelationOid(relid, ShareRowExclusiveLock);
            });
            make_trigger(spi, source, state.changes);
        });
        if (failure)
            pg::raise(*failure);
        // Whoever wrote to the partition so far has ended, with an earlier transaction ID; who writes later
        // is captured.
        state.first_xid = pg::guarded([] { return U64FromFullTransactionId(ReadNextFullTransactionId()); });
        state.file_node = file_node_of(spi, relid);
    }
    insert_state(spi, state);
    return state;
}

void require_intact(pg::Spi &spi, const Source &source, const State &state)
{
    pg::CatalogPath path;
    std::string what;
    pg::Rows rows = spi.run(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND tgname = $2::name"
        "  AND tgenabled = 'A') AND EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = $3),"
        " NOT EXISTS (SELECT FROM (SELECT attname, atttypid, atttypmod, attcollation FROM "
        "pg_catalog.pg_attribute"
        "  WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped) AS l FULL JOIN"
        "  (SELECT attname, atttypid, atttypmod, attcollation FROM pg_catalog.pg_attribute WHERE attrelid = "
        "$4"
        "   AND attnum > 0 AND NOT attisdropped) AS p USING (attname, atttypid, atttypmod, attcollation)"
        "  WHERE l IS NULL OR p IS NULL),"
        " pg_relation_filenode($1) = $5, EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = $1 AND "
        "inhparent = $6)",
        {pg::oid_param(state.relid), pg::text_param(object_name), pg::oid_param(state.changes),
         pg::oid_param(state.pieces.front().relid), pg::oid_param(state.file_node),
         pg::oid_param(state.parent)});
    if (!rows.boolean(0, 1))
        what = "Its trigger, or the table that keeps its changes, is not there any more.";
    else if (!rows.boolean(0, 2))
        what = "Its columns have changed.";
    else if (!rows.boolean(0, 3))
        what = "It has been truncated or rewritten.";
    else if (!rows.boolean(0, 4))
        what = "It is no partition of that relation any more.";
    if (!what.empty())
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "the split of partition \"" + source.relname + "\" cannot go on", what,
                 "Call privacy_scan.cancel_split() and begin again.");
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
void index_pieces(pg::Spi &spi, const Source &source, State &state)
{
    constexpr double enough_ms = 500;
    const TimestampTz begun = GetCurrentTimestamp();
    pg::OwnerScope owner(source.table.owner);
    const std::string twin =
        pg::quote(pg::schema_name(state.parent), partition::new_partition_name(state.parent, "_twin"));
    spi.run("CREATE TABLE " + twin + " (LIKE " + source.set.name() +
            " INCLUDING ALL EXCLUDING IDENTITY EXCLUDING STATISTICS) PARTITION BY RANGE (" +
            pg::quote(source.set.policy().key) + ")");
    for (Piece &piece : state.pieces) {
        if (piece.is_indexed)
            continue;
        const std::string name = pg::qualified_name(piece.relid);
        spi.run("ALTER TABLE " + twin + " ATTACH PARTITION " + name +
                partition::bounds_clause(source.set.key(), piece.bounds));
        spi.run("ALTER TABLE " + twin + " DETACH PARTITION " + name);
        spi.run("ANALYZE " + name);
        piece.is_indexed = true;
        if (pg::ms_since(begun) > enough_ms)
            break;
    }
    spi.run("DROP TABLE " + twin);
}

namespace
{

bool exists(Oid relid)
{
    return pg::guarded([=] { return get_rel_relkind(relid) != '\0'; });
}

void run_patiently(pg::Spi &spi, Oid relid, const std::string &sql)
{
    pg::GucScope settings;
    pg::ask_patiently(settings);
    pg::run_in_tries(spi, relid, sql);
}

bool has_check(pg::Spi &spi, Oid relid)
{
    return !spi.run("SELECT FROM pg_catalog.pg_constraint WHERE conrelid = $1 AND conname = $2::name",
                    {pg::oid_param(relid), pg::text_param(object_name)})
                .empty();
}

} // namespace

void tidy(pg::Spi &spi, const Source &source, const State &state)
{
    pg::OwnerScope owner(source.set.table().owner);
    for (const Piece &piece : state.pieces)
        if (exists(piece.relid) && has_check(spi, piece.relid))
            run_patiently(spi, piece.relid,
                         "ALTER TABLE " + pg::qualified_name(piece.relid) + " DROP CONSTRAINT " +
                             object_name);
    if (exists(state.changes))
        spi.run("DROP TABLE " + pg::qualified_name(state.changes));
}

void drop_all(pg::Spi &spi, Oid owner_id, const State &state)
{
    pg::OwnerScope owner(owner_id);
    run_patiently(spi, state.relid,
                 "DROP TRIGGER IF EXISTS " + std::string(object_name) + " ON " +
                     pg::qualified_name(state.relid));
    for (const Piece &piece : state.pieces)
        if (exists(piece.relid))
            spi.run("DROP TABLE " + pg::qualified_name(piece.relid));
    if (exists(state.changes))
        spi.run("DROP TABLE " + pg::qualified_name(state.changes));
}

} // namespace privacy_scan::split
