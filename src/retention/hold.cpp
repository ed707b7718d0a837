// See hold.hpp. Nobody but us can lock the table of holds so: it takes rights on it that nobody is given.
#include "pg/postgres.hpp"

#include "retention/hold.hpp"

#include "pg/ident.hpp"
#include "pg/lock.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <fmgr.h>
#include <utils/array.h>
#include <utils/fmgroids.h>
}

namespace privacy_scan::retention
{

namespace
{

void refuse_no_ids(Datum ids)
{
    const ArrayType *array = pg::guarded([=] { return DatumGetArrayTypeP(ids); });
    if (pg::guarded([=] { return array_contains_nulls(const_cast<ArrayType *>(array)); }))
        pg::fail(ERRCODE_NULL_VALUE_NOT_ALLOWED, "argument \"ids\" contains NULL");
    if (ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) == 0)
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "argument \"ids\" is empty");
}

struct IdColumn {
    std::string name, type; // unquoted; quoted
};

IdColumn id_column(pg::Spi &spi, Oid root)
{
    pg::CatalogScope scope;
    pg::Rows rows = // the type of no length: character is of one
        spi.run("SELECT a.attname::text, format_type(a.atttypid, -1)"
                " FROM pg_catalog.pg_index i"
                " JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)"
                " WHERE i.indrelid = $1 AND i.indisprimary AND NOT EXISTS"
                " (SELECT FROM pg_catalog.pg_partitioned_table p"
                "  WHERE p.partrelid = i.indrelid AND a.attnum = ANY (p.partattrs)"
                "   AND cardinality(i.indkey::int2[]) > 1)",
                {pg::regclass_param(root)});
    if (rows.size() != 1)
        pg::fail(ERRCODE_FEATURE_NOT_SUPPORTED,
                 "relation \"" + pg::relation_name(root) + "\" has no primary key of one column", {},
                 "Hold its rows by a condition instead of ids.");
    return {rows.text(0, 1), rows.text(0, 2)};
}

// In force, of the relations above the root $1 in its foreign keys, of those below, and of whatever these refer to besides: a row of
// two parents goes with either.
constexpr const char *holds_of_relatives =
    "WITH RECURSIVE family_key AS (SELECT conrelid, confrelid FROM pg_catalog.pg_constraint"
    "  WHERE contype = 'f' AND confdeltype NOT IN ('n', 'd')),"
    " below(relid) AS (SELECT $1::oid UNION SELECT k.conrelid FROM below b JOIN family_key k ON k.confrelid = b.relid),"
    " above(relid) AS (SELECT relid FROM below UNION SELECT k.confrelid FROM above a JOIN family_key k ON k.conrelid = a.relid)"
    " SELECT h.id, h.root::oid FROM privacy_scan.hold_ledger h"
    " WHERE h.released_at IS NULL AND (h.until IS NULL OR h.until > clock_timestamp()) AND h.root <> $1"
    "  AND h.root::oid IN (SELECT relid FROM above) ORDER BY h.id LIMIT 1";

void refuse_holds_of_relatives(pg::Spi &spi, Oid root)
{
    pg::Rows rows = spi.run(holds_of_relatives, {pg::regclass_param(root)});
    if (rows.empty())
        return;
    const std::string held = pg::qualified_name(rows.oid(0, 2));
    pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
             "hold " + std::to_string(rows.int8(0, 1)) + " is on " + held + ", not on the root " +
                 pg::qualified_name(root),
             "Foreign keys tie the two together; which rows of the root it keeps isn't known.",
             "Hold rows of the root of the retention policy, then release that hold.");
}

// Within lock_timeout: the lock may be held by a session that is idle in its transaction.
void lock_table(pg::Spi &spi, const std::string &mode)
{
    pg::GucScope brief;
    brief.set("lock_timeout", (std::to_string(settings::lock_timeout_ms()) + "ms").c_str());
    spi.run("LOCK TABLE privacy_scan.hold_ledger IN " + mode + " MODE");
}

std::vector<Hold> read_holds(pg::Spi &spi, Oid root)
{
    pg::Rows rows = spi.run("SELECT id, condition, reason, root = $1 FROM privacy_scan.hold_ledger"
                            " WHERE released_at IS NULL AND (until IS NULL OR until > clock_timestamp())"
                            " ORDER BY id",
                            {pg::regclass_param(root)});
    std::vector<Hold> holds;
    for (std::size_t row = 0; row < rows.size(); ++row)
        if (rows.boolean(row, 4))
            holds.push_back({rows.int8(row, 1), rows.text(row, 2), rows.text(row, 3)});
    if (holds.size() < rows.size())
        refuse_holds_of_relatives(spi, root);
    return holds;
}

} // namespace

bool operator==(const Hold &a, const Hold &b)
{
    return a.id == b.id; // a hold is never changed
}

Oid hold_table()
{
    return pg::own_relation("hold_ledger");
}

RootIds ids_of_roots(pg::Spi &spi, const pg::OwnedTable &root, Datum ids)
{
    refuse_no_ids(ids);
    const IdColumn column = id_column(spi, root.relid);
    const std::string text = pg::guarded([=] { return OidOutputFunctionCall(F_ARRAY_OUT, ids); });
    return {column.name, pg::quote_text(text) + "::" + column.type + "[]"};
}

std::string condition_of_ids(pg::Spi &spi, const pg::OwnedTable &root, Datum ids)
{
    const RootIds of = ids_of_roots(spi, root, ids);
    return pg::quote(of.column) + " = ANY (" + of.array + ")";
}

std::int64_t place_hold(pg::Spi &spi, const pg::OwnedTable &root, const std::string &condition,
                        const std::string &reason, std::optional<std::int64_t> until)
{
    const std::string holder = pg::role_name(GetUserId());
    std::int64_t id = 0;
    pg::LockWait wait;
    const auto failure = pg::try_with_locks({hold_table()}, wait, [&] {
        pg::CatalogScope scope;
        lock_table(spi, "EXCLUSIVE");
        spi.run("DELETE FROM privacy_scan.hold_ledger h"
                " WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = h.root::oid)");
        id = spi.run("INSERT INTO privacy_scan.hold_ledger (root, condition, reason, until, held_by)"
                     " VALUES ($1, $2, $3, $4, $5) RETURNING id",
                     {pg::regclass_param(root.relid), pg::text_param(condition), pg::text_param(reason),
                      until ? pg::timestamptz_param(*until) : pg::null_param(TIMESTAMPTZOID),
                      pg::text_param(holder)})
                 .int8(0, 1);
    });
    if (failure)
        pg::raise(*failure);
    return id;
}

bool end_hold(pg::Spi &spi, std::int64_t id)
{
    const std::string caller = pg::role_name(GetUserId());
    Oid root = InvalidOid;
    {
        pg::CatalogScope scope;
        pg::Rows rows =
            spi.run("SELECT root::oid FROM privacy_scan.hold_ledger WHERE id = $1", {pg::int8_param(id)});
        if (rows.empty())
            pg::fail(ERRCODE_UNDEFINED_OBJECT, "there is no hold " + std::to_string(id), {},
                     "The view privacy_scan.holds shows them.");
        root = rows.oid(0, 1);
    }
    pg::require_owner(root);
    pg::CatalogScope scope;
    lock_table(spi, "ROW EXCLUSIVE");
    return spi.run("UPDATE privacy_scan.hold_ledger SET released_at = clock_timestamp(), released_by = $2"
                   " WHERE id = $1 AND released_at IS NULL",
                   {pg::int8_param(id), pg::text_param(caller)})
               .affected() > 0;
}

std::vector<Hold> holds_in_force(pg::Spi &spi, Oid root)
{
    pg::CatalogScope scope;
    return read_holds(spi, root);
}

std::vector<Hold> lock_holds(pg::Spi &spi, Oid root)
{
    pg::CatalogScope scope;
    lock_table(spi, "ROW SHARE");
    return read_holds(spi, root);
}

} // namespace privacy_scan::retention
