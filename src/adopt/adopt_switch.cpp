// See adopt_switch.hpp.
#include "pg/postgres.hpp"

#include "adopt/adopt_switch.hpp"

#include "adopt/adopt_check.hpp"
#include "adopt/dependents.hpp"
#include "pg/clock.hpp"
#include "pg/ident.hpp"
#include "pg/strong_lock.hpp"

extern "C" {
#include <storage/lmgr.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::adopt
{

namespace
{

struct Switch {
    const Candidate &candidate;
    const Scheme &scheme;
    std::int64_t cutover; // on the axis
    NewParent parent;
    Dependents dependents;
    std::string fingerprint;
    std::vector<Oid> referencing; // tables whose foreign keys refer to it

    const std::string &name() const { return candidate.name; }
    std::string wide() const { return pg::quote(candidate.schema, parent.wide_name); }
};

void require_prepared(pg::Spi &spi, const Candidate &candidate, const std::string &cutover)
{
    const Progress progress = read_progress(spi, candidate, cutover);
    if ((candidate.needs_index() && !progress.index_valid) || !progress.check_valid)
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "relation \"" + candidate.relname + "\" is not prepared for the switch",
                 "Its unique index or its validated CHECK constraint is missing.",
                 "Call privacy_scan.run_adoption() again.");
}

void require_unchanged(pg::Spi &spi, const Switch &work)
{
    if (fingerprint(spi, work.candidate.table.relid) != work.fingerprint)
        pg::fail(ERRCODE_OBJECT_IN_USE,
                 "views, functions or privileges of relation \"" + work.candidate.relname +
                     "\" changed during the switch",
                 {}, "Try again.");
}

void lock_all(const Switch &work, TimestampTz &begun, pg::Spi &spi)
{
    for (Oid relid : work.parent.referenced)
        pg::guarded([=] {
            pg::note_lock(ShareRowExclusiveLock);
            LockRelationOid(relid, ShareRowExclusiveLock);
        });
    for (const std::string &sql : work.parent.foreign_keys)
        spi.run(sql);
    // Those that refer to it first: what writes to them goes on to the table.
    std::vector<Oid> relids = work.referencing;
    relids.push_back(work.candidate.table.relid);
    begun = lock_strongly(relids);
}

// The table's primary key becomes the one that the partitions have; its key column NOT NULL, which the CHECK
// has proven.
void change_key(pg::Spi &spi, const Switch &work, const Progress &progress)
{
    const Candidate &candidate = work.candidate;
    std::string changes = "ALTER COLUMN " + pg::quote(candidate.key) + " SET NOT NULL";
    if (candidate.needs_index())
        changes += ", DROP CONSTRAINT " + pg::quote(work.parent.wide_primary);
    spi.run("ALTER TABLE " + work.name() + " " + changes);
    if (candidate.needs_index())
        spi.run("ALTER TABLE " + work.name() + " ADD CONSTRAINT " + pg::quote(work.parent.wide_primary) +
                " PRIMARY KEY USING INDEX " + pg::quote(progress.index) + candidate.primary_tail);
}

void exchange_names(pg::Spi &spi, const Switch &work)
{
    spi.run("ALTER TABLE " + work.name() + " RENAME TO " + pg::quote(work.parent.wide_name));
    spi.run("ALTER TABLE " + work.parent.side_name + " RENAME TO " + pg::quote(work.candidate.relname));
}

std::string bound_text(const Scheme &scheme, std::int64_t cutover)
{
    return "FROM (MINVALUE) TO (" + pg::quote_text(scheme.axis->text_of(cutover)) + ")";
}

void attach_wide(pg::Spi &spi, const Switch &work, bool keeps_identity_index)
{
    spi.run("ALTER TABLE " + work.name() + " ATTACH PARTITION " + work.wide() + " FOR VALUES " +
            bound_text(work.scheme, work.cutover));
    spi.run("ALTER TABLE " + work.wide() + " DROP CONSTRAINT " + check_name);
    if (keeps_identity_index)
        spi.run("ALTER TABLE " + work.wide() + " REPLICA IDENTITY USING INDEX " +
                pg::quote(work.parent.wide_primary));
}

// The old table is a partition, with the planned number of others, and every index and constraint of the
// parent has its match in each.
void require_in_place(pg::Spi &spi, const Switch &work)
{
    pg::Rows row = spi.run(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = $2 AND inhparent = $1)"
        " AND (SELECT count(*) FROM pg_catalog.pg_inherits WHERE inhparent = $1) = $3 + 1"
        " AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = $1 AND NOT (i.indisvalid AND"
        "  (SELECT count(*) FROM pg_catalog.pg_inherits h WHERE h.inhparent = i.indexrelid) = $3 + 1))"
        " AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint c WHERE c.conrelid = $1 AND c.contype = 'f'"
        "  AND c.conparentid = 0 AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint o WHERE o.conrelid = "
        "$2 AND o.conparentid = "
        "c.oid))"
        " AND $1 = (SELECT oid FROM pg_catalog.pg_class WHERE oid = $4::regclass)",
        {pg::oid_param(work.parent.relid), pg::oid_param(work.candidate.table.relid),
         pg::int4_param(work.parent.partitions), pg::text_param(work.name())});
    if (!row.boolean(0, 1))
        pg::fail(ERRCODE_INTERNAL_ERROR, "the switch of relation \"" + work.candidate.relname +
                                             "\" did not leave everything in place");
}

bool replica_identity_is_primary(pg::Spi &spi, const Candidate &candidate)
{
    return candidate.needs_index() &&
           !spi.run("SELECT FROM pg_catalog.pg_index WHERE indrelid = $1 AND indisprimary AND indisreplident",
                    {pg::oid_param(candidate.table.relid)})
                .empty();
}

void under_lock(pg::Spi &spi, const Switch &work, const Progress &progress)
{
    const Oid relid = work.candidate.table.relid, owner = work.candidate.table.owner;
    require_unchanged(spi, work);
    const bool keeps_identity_index = replica_identity_is_primary(spi, work.candidate);
    const ReferencingKeys keys = read_referencing(spi, relid, work.referencing);
    run_as_roles(spi, keys.drop, owner);
    run_as_roles(spi, work.dependents.before, owner);
    const std::vector<Identity> identities = read_identities(spi, relid);
    drop_identities(spi, identities);
    change_key(spi, work, progress);
    exchange_names(spi, work);
    create_identities(spi, identities);
    run_as_roles(spi, work.dependents.after, owner);
    attach_wide(spi, work, keeps_identity_index);
    run_as_roles(spi, keys.add, owner);
    require_in_place(spi, work);
    if (referencing_tables(spi, work.parent.relid) != work.referencing)
        pg::fail(ERRCODE_INTERNAL_ERROR,
                 "foreign keys to relation \"" + work.candidate.relname + "\" were not all made anew");
}

void register_set(pg::Spi &spi, const Scheme &scheme, Oid parent)
{
    partition::Policy policy = scheme.policy;
    policy.relid = parent;
    partition::insert_policy(spi, policy);
}

} // namespace

Switched switch_table(pg::Spi &spi, const Candidate &candidate, const Adoption &adoption,
                      const Scheme &scheme)
{
    const Oid relid = candidate.table.relid;
    const std::int64_t cutover = scheme.axis->axis_of_instant(adoption.cutover);
    const Oid caller = GetUserId();
    Switched switched{};
    {
        pg::OwnerScope owner(candidate.table.owner);
        require_prepared(spi, candidate, scheme.axis->text_of(cutover));
        const Progress progress = read_progress(spi, candidate, scheme.axis->text_of(cutover));
        refuse_if_any("cannot adopt relation \"" + candidate.relname + "\"",
                      find_refusals(spi, candidate, caller));
        Switch work{
            candidate, scheme, cutover, {}, {}, fingerprint(spi, relid), referencing_tables(spi, relid)};
        work.dependents = read_dependents(spi, relid, candidate.table.owner);
        work.parent = make_parent(spi, candidate, scheme, cutover, adoption.unique_id);
        switched.parent = work.parent.relid;
        std::vector<Oid> relids = work.parent.referenced;
        relids.insert(relids.end(), work.referencing.begin(), work.referencing.end());
        relids.push_back(relid);
        pg::GucScope settings;
        pg::ask_patiently(settings);
        settings.set("client_min_messages", "warning"); // PostgreSQL tells of indexes that are renamed
        TimestampTz begun = 0;
        auto failure = pg::try_with_locks(relids, switched.wait, [&] {
            lock_all(work, begun, spi);
            under_lock(spi, work, progress);
        });
        if (failure)
            pg::raise(*failure);
        switched.lock_held_ms = pg::ms_since(begun);
    }
    register_set(spi, scheme, switched.parent);
    return switched;
}

std::string switch_in_words(const Candidate &candidate, const Scheme &scheme, std::int64_t cutover)
{
    const std::string wide = wide_name(candidate, scheme, cutover);
    return "ALTER TABLE " + candidate.name + " RENAME TO " + pg::quote(wide) + "; ALTER TABLE " +
           candidate.name + " ATTACH PARTITION " + pg::quote(candidate.schema, wide) + " FOR VALUES " +
           bound_text(scheme, cutover) + "; and what goes with it";
}

} // namespace privacy_scan::adopt
