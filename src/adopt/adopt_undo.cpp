// See adopt_undo.hpp.
#include "pg/postgres.hpp"

#include "adopt/adopt_undo.hpp"

#include "adopt/adopt_check.hpp"
#include "adopt/adopt_switch.hpp"
#include "adopt/dependents.hpp"
#include "pg/clock.hpp"
#include "pg/ident.hpp"
#include "pg/snapshot.hpp"
#include "pg/strong_lock.hpp"

extern "C" {
#include <storage/lmgr.h>
#include <utils/lsyscache.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::adopt
{

namespace
{

struct Undo {
    Adoption adoption;
    pg::OwnedTable set;
    std::string schema, relname, name; // of the set
    std::string wide, wide_name;       // qualified; unquoted
    std::string wide_primary;          // the constraint's name, empty where there is none
    std::string primary_tail;          // DEFERRABLE ..
    std::string columns;               // all that take a value, for INSERT
    std::string old_key; // columns of the primary key before the key was added, empty: as they are
    std::string index;   // the one built for it, empty where there is none
    bool index_valid = false;
    bool replica_identity = false; // is the primary key's index, by name
};

// $1 the first partition, $2 the key's number, $3 whether the key was added, $4 our prefix.
constexpr const char *facts =
    "SELECT coalesce(c.conname::text, ''),"
    " CASE WHEN c.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED' WHEN c.condeferrable THEN ' DEFERRABLE' "
    "ELSE '' END,"
    " (SELECT string_agg(quote_ident(attname::text), ', ' ORDER BY attnum) FROM pg_catalog.pg_attribute"
    "  WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attgenerated = ''),"
    " CASE WHEN $3 THEN (SELECT string_agg(quote_ident(a.attname::text), ', ' ORDER BY k.place)"
    "  FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, place) JOIN pg_catalog.pg_attribute a"
    "  ON a.attrelid = $1 AND a.attnum = k.attnum WHERE k.attnum <> $2) ELSE '' END,"
    " coalesce(b.name, ''), coalesce(b.is_valid, false),"
    " EXISTS (SELECT FROM pg_catalog.pg_index WHERE indrelid = $1 AND indisprimary AND indisreplident)"
    " FROM (VALUES (1)) AS one LEFT JOIN pg_catalog.pg_constraint c ON c.conrelid = $1 AND c.contype = 'p'"
    " LEFT JOIN LATERAL (SELECT x.relname::text AS name, i.indisvalid AND i.indisunique AND i.indpred IS NULL"
    "  AND array_to_string(i.indkey::pg_catalog.int2[], ' ') = array_to_string(array_remove(c.conkey, $2), ' "
    "') AS is_valid"
    "  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid"
    "  WHERE i.indrelid = $1 AND starts_with(x.relname::text, $4) ORDER BY 2 DESC LIMIT 1) AS b ON true";

Undo read_undo(pg::Spi &spi, const Adoption &adoption)
{
    pg::CatalogPath path;
    Undo work;
    work.adoption = adoption;
    work.set = pg::require_owner(adoption.parent);
    work.schema = pg::schema_name(adoption.parent);
    work.relname = pg::relation_name(adoption.parent);
    work.name = pg::qualified_name(adoption.parent);
    if (spi.run("SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = $1 AND inhparent = $2",
                {pg::oid_param(adoption.relid), pg::oid_param(adoption.parent)})
            .empty())
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "relation \"" + work.relname + "\" has no longer the partition that it was made from");
    work.wide = pg::qualified_name(adoption.relid);
    work.wide_name = pg::relation_name(adoption.relid);
    pg::Rows row = spi.run(facts, {pg::oid_param(adoption.relid),
                                   pg::datum_param(INT2OID, Int16GetDatum(adoption.key_number)),
                                   pg::bool_param(adoption.key_added), pg::text_param(index_prefix)});
    work.wide_primary = row.text(0, 1);
    work.primary_tail = row.text(0, 2);
    work.columns = row.text(0, 3);
    work.old_key = row.text(0, 4);
    work.index = row.text(0, 5);
    work.index_valid = row.boolean(0, 6);
    work.replica_identity = row.boolean(0, 7);
    return work;
}

// The first partition's privileges and policies will be the table's.
void require_same_rights(pg::Spi &spi, const Undo &work)
{
    const bool same =
        spi.run("SELECT count(DISTINCT d.digest) = 1 FROM (SELECT md5(concat_ws('|', c.relacl::text, "
                "c.relrowsecurity,"
                " c.relforcerowsecurity, (SELECT string_agg(concat(attname, attacl), ',' ORDER BY attname)"
                "  FROM pg_catalog.pg_attribute WHERE attrelid = c.oid AND attacl IS NOT NULL AND NOT "
                "attisdropped),"
                " (SELECT string_agg(concat_ws(' ', polname, polcmd, polpermissive, polroles::text,"
                "   replace(pg_get_expr(polqual, polrelid), c.relname, ''), "
                "replace(pg_get_expr(polwithcheck, polrelid),"
                "   c.relname, '')), ',' ORDER BY polname) FROM pg_catalog.pg_policy WHERE polrelid = "
                "c.oid))) AS digest"
                " FROM pg_catalog.pg_class c WHERE c.oid IN ($1, $2)) AS d",
                {pg::oid_param(work.adoption.parent), pg::oid_param(work.adoption.relid)})
            .boolean(0, 1);
    if (!same)
        pg::fail(ERRCODE_FEATURE_NOT_SUPPORTED,
                 "cannot undo the adoption of relation \"" + work.relname +
                     "\": privileges or policies changed since",
                 "Those of the first partition would become the table's.",
                 "Give " + work.wide + " the privileges and policies of the set first.");
}

std::vector<Oid> other_partitions(pg::Spi &spi, const Undo &work)
{
    std::vector<Oid> relids;
    pg::Rows rows = spi.run(
        "SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = $1 AND inhrelid <> $2 ORDER BY 1",
        {pg::oid_param(work.adoption.parent), pg::oid_param(work.adoption.relid)});
    for (std::size_t row = 0; row < rows.size(); ++row)
        relids.push_back(rows.oid(row, 1));
    return relids;
}

std::int64_t count_few(pg::Spi &spi, const Undo &work, std::int64_t max_rows)
{
    std::int64_t rows = 0;
    for (Oid relid : other_partitions(spi, work))
        rows +=
            spi.run("SELECT count(*) FROM (SELECT FROM " + pg::qualified_name(relid) + " LIMIT $1) AS found",
                    {pg::int8_param(max_rows - rows + 1)})
                .int8(0, 1);
    if (rows > max_rows)
        pg::fail(ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                 "more than " + std::to_string(max_rows) + " rows of relation \"" + work.relname +
                     "\" lie beyond its first partition",
                 "They would be moved under a lock that nobody passes.", "Give a larger max_rows.");
    return rows;
}

// The set's indexes and statistics get other names, those of the first partition theirs. Those that the set
// got later are matched, too; statistics by the name that the switch gave them.
void restore_names(pg::Spi &spi, const Undo &work, const pg::Rows &pairs)
{
    for (std::size_t row = 0; row < pairs.size(); ++row) {
        const std::string kind = pairs.text(row, 1), name = pairs.text(row, 2), side = pairs.text(row, 3);
        const std::string alter = "ALTER " + kind + " ";
        spi.run(alter + pg::quote(work.schema, name) + " RENAME TO " +
                pg::quote(pg::name_with_suffix(name, "_undone")));
        spi.run(alter + pg::quote(work.schema, side) + " RENAME TO " + pg::quote(name));
    }
}

// $1 the set, $2 the first partition, $3 the suffix of the switch. (Kind, name, name of the first
// partition's).
constexpr const char *name_pairs =
    "SELECT 'INDEX', p.relname::text, c.relname::text FROM pg_catalog.pg_index i"
    " JOIN pg_catalog.pg_inherits h ON h.inhparent = i.indexrelid JOIN pg_catalog.pg_index o"
    " ON o.indexrelid = h.inhrelid AND o.indrelid = $2 JOIN pg_catalog.pg_class p ON p.oid = i.indexrelid"
    " JOIN pg_catalog.pg_class c ON c.oid = o.indexrelid WHERE i.indrelid = $1 UNION ALL"
    " SELECT 'STATISTICS', p.stxname::text, c.stxname::text FROM pg_catalog.pg_statistic_ext p"
    " JOIN pg_catalog.pg_statistic_ext c ON c.stxrelid = $2 AND c.stxname = p.stxname::text || $3 WHERE "
    "p.stxrelid = $1";

void change_back(pg::Spi &spi, const Undo &work)
{
    if (!work.old_key.empty()) {
        spi.run("ALTER TABLE " + work.wide + " DROP CONSTRAINT " + pg::quote(work.wide_primary));
        spi.run("ALTER TABLE " + work.wide + " ADD CONSTRAINT " + pg::quote(work.wide_primary) +
                " PRIMARY KEY USING INDEX " + pg::quote(work.index) + work.primary_tail);
    }
    if (!work.old_key.empty() && work.replica_identity)
        spi.run("ALTER TABLE " + work.wide + " REPLICA IDENTITY USING INDEX " + pg::quote(work.wide_primary));
}

void exchange(pg::Spi &spi, const Undo &work, const Dependents &dependents, const ReferencingKeys &keys,
              const std::string &suffix)
{
    const Oid parent = work.adoption.parent, owner = work.set.owner;
    const std::string side_name = pg::name_with_suffix(work.relname, "_undone");
    const std::string side = pg::quote(work.schema, side_name);
    run_as_roles(spi, keys.drop, owner); // else PostgreSQL looks for what refers to each partition
    run_as_roles(spi, dependents.before, owner);
    const std::vector<Identity> identities = read_identities(spi, parent);
    drop_identities(spi, identities);
    const pg::Rows pairs = spi.run(
        name_pairs, {pg::oid_param(parent), pg::oid_param(work.adoption.relid), pg::text_param(suffix)});
    spi.run("ALTER TABLE " + work.name + " DETACH PARTITION " + work.wide);
    change_back(spi, work);
    spi.run("INSERT INTO " + work.wide + " (" + work.columns + ") OVERRIDING SYSTEM VALUE SELECT " +
            work.columns + " FROM " + work.name);
    restore_names(spi, work, pairs);
    spi.run("ALTER TABLE " + work.name + " RENAME TO " + pg::quote(side_name));
    spi.run("ALTER TABLE " + work.wide + " RENAME TO " + pg::quote(work.relname));
    create_identities(spi, identities);
    run_as_roles(spi, dependents.after, owner);
    run_as_roles(spi, keys.add, owner);
    spi.run("DROP TABLE " + side);
}

// Everybody who uses the set uses it through the parent, whose lock keeps them out.
void lock_set(pg::Spi &spi, const Undo &work, const std::vector<Oid> &referenced,
              const std::vector<Oid> &referencing)
{
    for (Oid relid : referenced)
        pg::guarded([=] {
            pg::note_lock(ShareRowExclusiveLock);
            LockRelationOid(relid, ShareRowExclusiveLock);
        });
    std::vector<Oid> relids = referencing;
    relids.insert(relids.end(), {work.adoption.parent, work.adoption.relid});
    for (Oid relid : other_partitions(spi, work))
        relids.push_back(relid);
    lock_strongly(relids);
}

std::vector<Oid> referenced_by(pg::Spi &spi, Oid relid)
{
    std::vector<Oid> relids;
    pg::Rows rows = spi.run("SELECT DISTINCT confrelid FROM pg_catalog.pg_constraint WHERE conrelid = $1"
                            " AND contype = 'f' AND conparentid = 0 ORDER BY 1",
                            {pg::oid_param(relid)});
    for (std::size_t row = 0; row < rows.size(); ++row)
        relids.push_back(rows.oid(row, 1));
    return relids;
}

void refuse_what_depends(pg::Spi &spi, const Undo &work, Oid caller)
{
    Candidate set;
    set.table = work.set;
    set.relname = work.relname;
    set.key_number = partition::key_column(work.adoption.parent).number;
    refuse_if_any("cannot undo the adoption of relation \"" + work.relname + "\"",
                  find_refusals(spi, set, caller));
}

// How long an older snapshot, which would not see the rows that were moved, is waited for under the lock.
constexpr int most_snapshot_wait_ms = 20;

void merge(pg::Spi &spi, const Undo &work, std::int64_t max_rows)
{
    const Oid parent = work.adoption.parent;
    const std::string suffix = work.wide_name.substr(std::min(work.relname.size(), work.wide_name.size()));
    const Oid caller = GetUserId();
    pg::OwnerScope owner(work.set.owner);
    refuse_what_depends(spi, work, caller);
    require_same_rights(spi, work);
    const std::string seen = fingerprint(spi, parent);
    const Dependents dependents = read_dependents(spi, parent, work.set.owner);
    const std::vector<Oid> referenced = referenced_by(spi, parent);
    const std::vector<Oid> referencing = referencing_tables(spi, parent);
    pg::GucScope settings;
    pg::ask_patiently(settings);
    settings.set("client_min_messages", "warning");
    pg::LockWait wait;
    auto failure = pg::try_with_locks({parent}, wait, [&] {
        lock_set(spi, work, referenced, referencing);
        if (fingerprint(spi, parent) != seen)
            pg::fail(ERRCODE_OBJECT_IN_USE,
                     "views, functions or privileges of relation \"" + work.relname + "\" changed meanwhile",
                     {}, "Try again.");
        if (count_few(spi, work, max_rows) > 0)
            pg::wait_for_older_snapshots(most_snapshot_wait_ms);
        exchange(spi, work, dependents, read_referencing(spi, parent, referencing), suffix);
    });
    if (failure)
        pg::raise(*failure);
}

StepRow index_row(const Undo &work)
{
    return {1,
            to_string(Action::build_index),
            work.index_valid ? "done" : "yours",
            "CREATE UNIQUE INDEX CONCURRENTLY " +
                pg::quote(index_prefix + std::to_string(work.adoption.relid)) + " ON " + work.wide + " (" +
                work.old_key + ")",
            work.index_valid ? "" : "run it by itself, outside a transaction block, and call again",
            {}};
}

// Before anything is locked strongly, or built: too many rows; an index that an interruption left invalid.
void prepare(pg::Spi &spi, const Undo &work, std::int64_t max_rows)
{
    pg::OwnerScope owner(work.set.owner);
    count_few(spi, work, max_rows);
    if (!work.index.empty() && !work.index_valid)
        spi.run("DROP INDEX " + pg::quote(work.schema, work.index));
}

} // namespace

std::vector<StepRow> undo(pg::Spi &spi, Oid relid, std::int64_t max_rows)
{
    const TimestampTz begun = GetCurrentTimestamp();
    const Adoption adoption = require_adoption(spi, relid);
    if (!adoption.is_done())
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "relation \"" + pg::relation_name(relid) + "\" has not been adopted yet", {},
                 "Call privacy_scan.cancel_adoption().");
    pg::LockWait wait;
    pg::lock_in_tries(pg::require_owner(adoption.parent), ShareUpdateExclusiveLock, wait);
    const Undo work = read_undo(spi, require_adoption(spi, relid));
    prepare(spi, work, max_rows);
    std::vector<StepRow> rows;
    if (!work.old_key.empty())
        rows.push_back(index_row(work));
    const int number = static_cast<int>(rows.size()) + 1;
    if (!work.old_key.empty() && !work.index_valid) {
        rows.push_back({number, "merge", "waiting", "", "", {}});
        return rows;
    }
    merge(spi, work, max_rows);
    partition::delete_policy(spi, adoption.parent);
    delete_adoption(spi, adoption.relid);
    rows.push_back(
        {number, "merge", "done now", "", "", pg::ms_since(begun)});
    for (const Validation &validation : read_validations(spi, adoption.relid))
        rows.push_back({static_cast<int>(rows.size()) + 1,
                        to_string(Action::validate_foreign_key),
                        "yours",
                        validation.statement.sql,
                        "it is enforced already; run this to have it proven, too",
                        {}});
    return rows;
}

} // namespace privacy_scan::adopt
