// See split_pieces.hpp.
#include "pg/postgres.hpp"

#include "split/split_pieces.hpp"

#include "partition/partition_create.hpp"
#include "pg/ident.hpp"
#include "pg/lock.hpp"
#include "pg/privileges.hpp"
#include "pg/relation.hpp"
#include "pg/strong_lock.hpp"

extern "C" {
#include <access/multixact.h>
#include <access/transam.h>
#include <access/xact.h>
#include <miscadmin.h>
#include <storage/lmgr.h>
#include <utils/builtins.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::split
{

std::string bound_check(const partition::PartitionSet &set, const partition::Cell &cell)
{
    const Oid type = set.key().type();
    const std::string type_name = pg::guarded([=] { return format_type_be_qualified(type); });
    const std::string key = pg::quote(set.policy().key);
    auto literal = [&](std::int64_t at) { return pg::quote_text(set.key().text_of(at)) + "::" + type_name; };
    std::string check = key + " IS NOT NULL";
    if (cell.lower != partition::axis_min)
        check += " AND " + key + " >= " + literal(cell.lower);
    if (cell.upper != partition::axis_max)
        check += " AND " + key + " < " + literal(cell.upper);
    return check;
}

namespace
{

// The suffix of a name for the piece: of the widest unit of the calendar that it fills, else the grid's.
std::string suffix_of(const partition::PartitionSet &set, const partition::Cell &cell)
{
    using partition::Unit;
    if (set.key().is_temporal())
        for (const Unit unit : {Unit::year, Unit::quarter, Unit::month, Unit::week, Unit::day}) {
            const partition::TimeGrid calendar({unit, 1}, set.key().grid_zone());
            const std::optional<partition::Cell> filled = calendar.cell_at(cell.lower);
            if (filled && filled->lower == cell.lower && filled->upper == cell.upper)
                return calendar.suffix(cell.lower);
        }
    if (cell.lower != partition::axis_min)
        return set.grid().suffix(cell.lower);
    const std::optional<partition::Cell> last = set.grid().cell_at(cell.upper - 1);
    return set.grid().suffix(last ? last->lower : cell.upper - 1);
}

// Beside the sources, the name is taken where it is one of theirs.
Piece make_piece(pg::Spi &spi, const partition::PartitionSet &set, const partition::Blueprint &blueprint,
                 const partition::Cell &cell)
{
    const Oid parent = set.table().relid;
    const Oid relid = partition::create_table(spi, parent, blueprint,
                                              partition::new_partition_name(parent, suffix_of(set, cell)),
                                              partition::WithIndexes::no);
    spi.run("ALTER TABLE " + pg::qualified_name(relid) + " ADD CONSTRAINT " + object_name + " CHECK (" +
            bound_check(set, cell) + ")");
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
    const Oid relid = source.relid;
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

// Versions of the sources come to the piece as old as they are, older than the piece itself. Their horizons
// stay: the sources are locked against vacuum.
void lower_horizon(Oid piece, const std::vector<Oid> &sources)
{
    pg::FrozenHorizon least = pg::frozen_horizon(sources.front());
    for (const Oid source : sources) {
        const pg::FrozenHorizon horizon = pg::frozen_horizon(source);
        if (TransactionIdPrecedes(horizon.xid, least.xid))
            least.xid = horizon.xid;
        if (MultiXactIdPrecedes(horizon.multi, least.multi))
            least.multi = horizon.multi;
    }
    pg::set_frozen_horizon(piece, least);
}

Oid file_node_of(pg::Spi &spi, Oid relid)
{
    return spi.run("SELECT pg_relation_filenode($1)", {pg::oid_param(relid)}).oid(0, 1);
}

} // namespace

namespace
{

// On all sources at once, in tries: whoever waits for one of them waits for a moment.
void capture(pg::Spi &spi, const Stretch &stretch, State &state)
{
    pg::GucScope settings;
    pg::ask_patiently(settings);
    pg::LockWait wait;
    auto failure = pg::try_with_locks(stretch.relids(), wait, [&] {
        for (const Source &source : stretch.sources) {
            const Oid relid = source.relid;
            pg::guarded([=] {
                pg::note_lock(ShareRowExclusiveLock);
                LockRelationOid(relid, ShareRowExclusiveLock);
            });
        }
        for (const Source &source : stretch.sources)
            make_trigger(spi, source, state.changes);
    });
    if (failure)
        pg::raise(*failure);
    // Whoever wrote to them so far has ended, with an earlier transaction ID; who writes later is captured.
    state.first_xid = pg::guarded([] { return U64FromFullTransactionId(ReadNextFullTransactionId()); });
}

} // namespace

State prepare(pg::Spi &spi, const Stretch &stretch, const std::vector<partition::Cell> &cells)
{
    State state;
    state.relid = stretch.sources.front().relid;
    state.parent = stretch.parent();
    pg::OwnerScope owner(stretch.owner());
    const partition::Blueprint blueprint =
        partition::read_blueprint(spi, state.parent, stretch.sources.back().relid);
    for (const partition::Cell &cell : cells)
        state.pieces.push_back(make_piece(spi, stretch.set, blueprint, cell));
    state.changes = make_changes(spi, stretch.sources.front());
    capture(spi, stretch, state);
    for (const Source &source : stretch.sources)
        state.sources.push_back({source.relid, source.bounds, file_node_of(spi, source.relid)});
    const std::vector<Oid> sources = stretch.relids();
    pg::guarded([&] {
        for (const Piece &piece : state.pieces)
            lower_horizon(piece.relid, sources);
        CommandCounterIncrement();
    });
    return state;
}

namespace
{

// $1 the first source, $2 the trigger's name, $3 the table of changes, $4 a piece. One statement for all
// sources: it also runs under the locks of the switch.
constexpr const char *changed_sources =
    "WITH columns AS (SELECT a.attrelid, pg_catalog.string_agg(pg_catalog.format('%s %s %s %s', a.attname,"
    "   a.atttypid, a.atttypmod, a.attcollation), ',' ORDER BY a.attname) AS all_of_them"
    "  FROM pg_catalog.pg_attribute a WHERE a.attnum > 0 AND NOT a.attisdropped AND (a.attrelid = $4 OR"
    "   a.attrelid IN (SELECT source FROM privacy_scan.split_sources WHERE partition = $1))"
    "  GROUP BY a.attrelid)"
    " SELECT w.source::oid, w.what FROM (SELECT s.source, s.lower, CASE"
    "  WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = $3) OR NOT EXISTS (SELECT FROM"
    "   pg_catalog.pg_trigger WHERE tgrelid = s.source AND tgname = $2::name AND tgenabled = 'A')"
    "   THEN 'Its trigger, or the table that keeps its changes, is not there any more.'"
    "  WHEN c.all_of_them IS DISTINCT FROM (SELECT p.all_of_them FROM columns p WHERE p.attrelid = $4)"
    "   THEN 'Its columns have changed.'"
    "  WHEN pg_catalog.pg_relation_filenode(s.source) <> s.file_node"
    "   THEN 'It has been truncated or rewritten.'"
    "  WHEN EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = s.source AND NOT tgisinternal"
    "   AND tgparentid = 0 AND tgname <> $2::name) THEN 'It has got a trigger of its own.'"
    "  WHEN EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE confrelid = s.source AND contype = 'f'"
    "   AND conparentid = 0) THEN 'A foreign key refers to it alone.' END AS what"
    " FROM privacy_scan.split_sources s LEFT JOIN columns c ON c.attrelid = s.source WHERE s.partition = $1) "
    "w"
    " WHERE w.what IS NOT NULL ORDER BY w.lower LIMIT 1";

} // namespace

namespace
{

// $1 the parent, $2 a piece, dressed as the parent was when it was made: a policy of the parent that is
// younger than the piece's has been altered since.
constexpr const char *changed_parent =
    "WITH granted AS (SELECT c.oid AS relid, name '' AS attname, a.grantee, a.privilege_type, a.is_grantable"
    "  FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a WHERE c.oid IN ($1, $2)"
    "   AND a.grantee <> c.relowner"
    "  UNION SELECT c.oid, t.attname, a.grantee, a.privilege_type, a.is_grantable"
    "  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute t ON t.attrelid = c.oid AND NOT "
    "t.attisdropped,"
    "   pg_catalog.aclexplode(t.attacl) a WHERE c.oid IN ($1, $2) AND a.grantee <> c.relowner),"
    " policies AS (SELECT polname, polcmd, polpermissive, ARRAY(SELECT r FROM unnest(polroles) r ORDER BY r) "
    "AS "
    "roles"
    "  FROM pg_catalog.pg_policy WHERE polrelid IN ($1, $2))"
    " SELECT CASE WHEN (SELECT count(DISTINCT relowner) FROM pg_catalog.pg_class WHERE oid IN ($1, $2)) > 1"
    "   THEN 'It has another owner.'"
    "  WHEN EXISTS (SELECT FROM pg_catalog.pg_attribute p JOIN pg_catalog.pg_attribute c"
    "   ON c.attrelid = $2 AND c.attname = p.attname WHERE p.attrelid = $1 AND p.attnum > 0"
    "   AND p.attnotnull AND NOT c.attnotnull) THEN 'A column of it has become NOT NULL.'"
    "  WHEN EXISTS (SELECT FROM pg_catalog.pg_constraint p WHERE p.conrelid = $1 AND p.contype = 'c'"
    "   AND NOT p.connoinherit AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint c WHERE c.conrelid = $2"
    "    AND c.contype = 'c' AND c.conname = p.conname AND pg_catalog.pg_get_expr(c.conbin, c.conrelid)"
    "     = pg_catalog.pg_get_expr(p.conbin, p.conrelid))) THEN 'It has another CHECK constraint.'"
    "  WHEN EXISTS (SELECT g.attname, g.grantee, g.privilege_type, g.is_grantable FROM granted g"
    "   GROUP BY 1, 2, 3, 4 HAVING count(*) < 2) THEN 'Its privileges have changed.'"
    "  WHEN EXISTS (SELECT FROM policies GROUP BY polname, polcmd, polpermissive, roles HAVING count(*) < 2)"
    "   OR EXISTS (SELECT FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_policy c ON c.polrelid = $2"
    "    AND c.polname = p.polname WHERE p.polrelid = $1 AND pg_catalog.age(p.xmin) < pg_catalog.age(c.xmin))"
    "   OR EXISTS (SELECT FROM pg_catalog.pg_class p JOIN pg_catalog.pg_class c ON c.oid = $2 WHERE p.oid = "
    "$1"
    "    AND (p.relrowsecurity, p.relforcerowsecurity) <> (c.relrowsecurity, c.relforcerowsecurity))"
    "   THEN 'Its row security has changed.' END";

void require_alike(pg::Spi &spi, const State &state)
{
    pg::Rows rows =
        spi.run(changed_parent, {pg::oid_param(state.parent), pg::oid_param(state.pieces.front().relid)});
    if (!rows.is_null(0, 1))
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "the pieces are not like relation \"" + pg::relation_name(state.parent) + "\" any more",
                 rows.text(0, 1), "Undo it, or call privacy_scan.cancel_split() and begin again.");
}

} // namespace

void require_intact(pg::Spi &spi, const State &state)
{
    pg::CatalogScope scope;
    require_alike(spi, state);
    pg::Rows rows =
        spi.run(changed_sources, {pg::regclass_param(state.relid), pg::text_param(object_name),
                                  pg::oid_param(state.changes), pg::oid_param(state.pieces.front().relid)});
    if (!rows.empty())
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "the " + std::string(state.is_split() ? "split" : "merge") + " of partition \"" +
                     pg::relation_name(rows.oid(0, 1)) + "\" cannot go on",
                 rows.text(0, 2), "Call privacy_scan.cancel_split() and begin again.");
}

namespace
{

bool exists(Oid relid)
{
    return pg::guarded([=] { return get_rel_relkind(relid) != '\0'; });
}

bool has_check(pg::Spi &spi, Oid relid)
{
    const pg::CatalogPath path;
    return !spi.run("SELECT FROM pg_catalog.pg_constraint WHERE conrelid = $1 AND conname = $2::name",
                    {pg::oid_param(relid), pg::text_param(object_name)})
                .empty();
}

// A statement about one table.
struct Chore {
    Oid relid;
    std::string sql;
};
using Chores = std::vector<Chore>;

// All of them in one try, or none: whoever waits for one of the tables waits for a moment, however many they
// are. Each with the rights of whose the table is now.
std::optional<pg::ErrorText> try_chores(pg::Spi &spi, const Chores &chores)
{
    std::vector<Oid> relids;
    for (const Chore &chore : chores)
        relids.push_back(chore.relid);
    pg::GucScope settings;
    pg::ask_patiently(settings);
    pg::LockWait wait;
    return pg::try_with_locks(relids, wait, [&] {
        for (const Chore &chore : chores) {
            pg::OwnerScope owner(pg::require_owner(chore.relid).owner);
            pg::GucScope patience; // the owner's scope has put back what is set above
            pg::ask_patiently(patience);
            spi.run(chore.sql);
        }
    });
}

bool has_trigger(pg::Spi &spi, Oid relid)
{
    const pg::CatalogPath path;
    return !spi.run("SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND tgname = $2::name",
                    {pg::oid_param(relid), pg::text_param(object_name)})
                .empty();
}

void add_triggers(pg::Spi &spi, const State &state, Chores &chores)
{
    for (const Origin &source : state.sources)
        if (exists(source.relid) && has_trigger(spi, source.relid))
            chores.push_back({source.relid, "DROP TRIGGER " + std::string(object_name) + " ON " +
                                                pg::qualified_name(source.relid)});
}

// Not what somebody has made a partition by hand.
void add_drop(Oid relid, Chores &chores)
{
    if (exists(relid) && !pg::guarded([=] { return get_rel_relispartition(relid); }))
        chores.push_back({relid, "DROP TABLE " + pg::qualified_name(relid)});
}

// What is in use comes last, so that it is locked for the shortest.
Chores tidying(pg::Spi &spi, const State &state)
{
    Chores chores;
    add_triggers(spi, state, chores);
    add_drop(state.changes, chores);
    if (state.drops_sources)
        for (const Origin &source : state.sources)
            add_drop(source.relid, chores);
    for (const Piece &piece : state.pieces)
        if (exists(piece.relid) && has_check(spi, piece.relid))
            chores.push_back({piece.relid, "ALTER TABLE " + pg::qualified_name(piece.relid) +
                                               " DROP CONSTRAINT " + object_name});
    return chores;
}

// The triggers first: who writes to a source holds the notes, too.
Chores dropping(pg::Spi &spi, const State &state)
{
    Chores chores;
    add_triggers(spi, state, chores);
    for (const Piece &piece : state.pieces)
        add_drop(piece.relid, chores);
    add_drop(state.changes, chores);
    return chores;
}

void do_chores(pg::Spi &spi, const Chores &chores)
{
    if (const auto failure = try_chores(spi, chores))
        pg::raise(*failure);
}

// The caller's own splits whose sources all are gone: nothing is left by which they could be cancelled.
std::vector<Oid> find_orphans(pg::Spi &spi)
{
    const Oid caller = GetUserId();
    pg::CatalogScope scope;
    pg::Rows rows = spi.run(
        "SELECT s.partition::oid FROM privacy_scan.split_states s WHERE NOT EXISTS"
        "  (SELECT FROM privacy_scan.split_sources o, pg_catalog.pg_class c WHERE o.partition = s.partition"
        "   AND c.oid = o.source)"
        " AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE (c.oid = s.changes OR c.oid IN (SELECT "
        "p.piece"
        "   FROM privacy_scan.split_pieces p WHERE p.partition = s.partition))"
        "  AND NOT pg_catalog.pg_has_role($1, c.relowner, 'USAGE')) FOR UPDATE OF s SKIP LOCKED",
        {pg::oid_param(caller)});
    std::vector<Oid> relids;
    for (std::size_t row = 0; row < rows.size(); ++row)
        relids.push_back(rows.oid(row, 1));
    return relids;
}

} // namespace

void tidy(pg::Spi &spi, const State &state)
{
    do_chores(spi, tidying(spi, state));
}

void drop_all(pg::Spi &spi, const State &state)
{
    do_chores(spi, dropping(spi, state));
}

void clear_orphans(pg::Spi &spi)
{
    for (const Oid relid : find_orphans(spi)) {
        const State state = require_state(spi, relid);
        const auto failure =
            try_chores(spi, state.phase < Phase::tidy ? dropping(spi, state) : tidying(spi, state));
        if (failure)
            store_error(spi, relid, *failure);
        else
            delete_state(spi, relid);
    }
}

} // namespace privacy_scan::split
