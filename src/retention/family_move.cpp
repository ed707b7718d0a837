// See family_move.hpp.
#include "pg/postgres.hpp"

#include "retention/family_move.hpp"

#include "pg/clock.hpp"
#include "pg/guc.hpp"
#include "pg/ident.hpp"
#include "pg/lock.hpp"
#include "retention/archive_window.hpp"
#include "retention/archive_writer.hpp"

extern "C" {
#include <storage/lockdefs.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::retention
{

namespace
{

// Rows of a family for each root, from the statistics; 1 where there are none yet.
double estimate_rows_per_root(pg::Spi &spi, const Family &family)
{
    pg::CatalogScope scope;
    double all = 0, roots = 0;
    for (const Member &member : family.members) {
        const double rows =
            spi.run("SELECT coalesce(sum(greatest(reltuples, 0)), 0)::float8 FROM pg_catalog.pg_class"
                    " WHERE oid = $1 OR oid IN (SELECT relid FROM pg_catalog.pg_partition_tree($1) WHERE "
                    "isleaf)",
                    {pg::regclass_param(member.table.relid)})
                .float8(0, 1);
        all += rows;
        if (member.links.empty())
            roots = rows;
    }
    return roots > 0 ? std::max(1.0, all / roots) : 50;
}

} // namespace

Work::Work(pg::Spi &spi, Policy the_policy, std::int64_t the_instant)
    : policy(std::move(the_policy)), family(read_family(spi, policy.root)), sql(family, policy),
      at(the_instant), cutoff(cutoff_of(policy, at)), rows_per_root(estimate_rows_per_root(spi, family))
{
    policy.holds = holds_in_force(spi, policy.root);
}

Picked::Picked(pg::Rows the_row, std::size_t columns) : row(std::move(the_row)), count(row.int8(0, 1))
{
    const int arrays = static_cast<int>(columns);
    for (int column : {2, 3})
        params.push_back({row.type(column), row.datum(0, column), row.is_null(0, column)});
    for (int column = 6; column < 6 + arrays; ++column)
        params.push_back({row.type(column), row.datum(0, column), row.is_null(0, column)});
}

std::int64_t count_rows(pg::Spi &spi, const Work &work, const Picked &picked, const Member &member)
{
    return member.links.empty() ? picked.count
                                : spi.run_generic(work.sql.count_rows(member), picked.params).int8(0, 1);
}

namespace
{

bool spares(const ToSpare &spared, std::size_t member)
{
    return std::find(spared.members.begin(), spared.members.end(), member) != spared.members.end();
}

// Rows that others may refer to, and rows to which several links lead, from the root down.
void lock_members(pg::Spi &spi, const Work &work, const Picked &picked, const ToSpare &spared)
{
    for (std::size_t i = 1; i < work.family.members.size(); ++i) {
        const Member &member = work.family.members[i];
        if (!spares(spared, i) && (member.has_children || member.links.size() > 1))
            for (const std::string &statement : work.sql.lock_rows(member))
                spi.run_generic(statement, picked.params);
    }
}

// What was deleted, and what the archive has of it now.
struct Moving {
    RowTotal deleted, written;
    std::vector<Oid> leaves; // the first came from; none where it isn't known
};

void check_digests(const Moving &moving, const Member &member, const ArchiveTable &archive)
{
    const RowTotal &deleted = moving.deleted, &written = moving.written;
    if (same_rows(deleted, written))
        return;
    pg::fail(ERRCODE_DATA_CORRUPTED,
             "archive " + archive.name + " did not take the rows of " + member.name + " as they were",
             std::to_string(deleted.rows) + " rows with digest " + hex_of(deleted.digest) +
                 " were deleted, " + std::to_string(written.rows) + " with digest " + hex_of(written.digest) +
                 " inserted.",
             "Look for triggers or rules on the archive. The batch was rolled back.");
}

// What belongs to the batch can't grow any more, so that a DELETE of as many rows as were counted before it
// left none. Where it deleted fewer, somebody else may have deleted them: only then they are counted again,
// which is dear just after a DELETE.
void check_nothing_left(pg::Spi &spi, const Work &work, const Picked &picked, const Member &member,
                        std::int64_t before, std::int64_t deleted)
{
    if (deleted == before)
        return;
    const std::int64_t left = member.links.empty() ? before - deleted : count_rows(spi, work, picked, member);
    if (left > 0)
        pg::fail(
            ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            std::to_string(left) + " rows of " + member.name + " still belong to expired roots",
            "They would have gone unarchived with them.",
            "Look for triggers on the relation that suppress or redo deletes. The batch was rolled back.");
}

// Triggers or rules of a user's on a relation or a partition of it.
//
// What takes note of changes for a split is none of theirs: it fires whatever the role is, and a partition
// that goes as a whole ends its split. Nor is a unique check, which looks at what is written alone.
bool has_user_triggers(pg::Spi &spi, Oid relid)
{
    return spi
        .run_kept("SELECT EXISTS (SELECT FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_trigger t"
                  "  ON t.tgrelid = c.oid AND NOT t.tgisinternal"
                  "  AND t.tgfoid IS DISTINCT FROM to_regproc('privacy_scan.capture_change')"
                  "  AND t.tgfoid IS DISTINCT FROM to_regproc('privacy_scan.check_unique')"
                  " WHERE (t.oid IS NOT NULL OR c.relhasrules)"
                  "  AND (c.oid = $1 OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree($1))))",
                  {pg::regclass_param(relid)})
        .boolean(0, 1);
}

// True where the DELETE of a member's rows may do without triggers: nobody refers to them any more, so that
// the foreign keys' own triggers, which probe every partition of every child for every row, would find
// nothing; and neither the relation nor a partition of it has a trigger or rule of a user's.
bool needs_no_triggers(pg::Spi &spi, const Member &member)
{
    return member.has_children && !member.has_spared && !has_user_triggers(spi, member.table.relid);
}

// Where a member's rows are looked for. Where ids grow with time, a batch's roots are a narrow range of ids,
// and the rows that refer to them lie in few partitions: one probe of each partition's index for the range
// spares a probe for every root. No row can come to another partition meanwhile: that would need the root's
// row, which is locked.
std::vector<std::string> sources_of(pg::Spi &spi, const Work &work, const Picked &picked,
                                    const Member &member, const std::vector<std::string> &spared)
{
    const std::string probe = work.sql.probe_leaves(member);
    if (probe.empty())
        return {member.from};
    std::vector<std::string> sources;
    pg::Rows rows = spi.run_generic(probe, picked.params);
    for (std::size_t row = 0; row < rows.size(); ++row)
        if (std::find(spared.begin(), spared.end(), rows.text(row, 1)) == spared.end())
            sources.push_back("ONLY " + rows.text(row, 1));
    return sources;
}

// Into a plain archive. No code of a user's runs beside the DELETE, so that none could do without triggers.
Moving move_directly(pg::Spi &spi, const Work &work, const Picked &picked, const Member &member,
                     const ArchiveTable &archive)
{
    pg::GucScope settings;
    if (needs_no_triggers(spi, member))
        settings.set_as_server("session_replication_role", "replica");
    ArchiveWriter writer(archive.written());
    spi.send_generic(work.sql.delete_rows(member, archive.columns), picked.params, writer.receiver());
    writer.finish();
    return {writer.deleted(), writer.written(), writer.leaves()};
}

// Into an archive whose owner gave it indexes, constraints, triggers or partitions.
Moving move_by_insert(pg::Spi &spi, const Work &work, const Picked &picked, const Member &member,
                      const ArchiveTable &archive)
{
    pg::Rows row =
        spi.run_generic(work.sql.move_rows(member, archive.written_name(), archive.columns), picked.params);
    return {{row.int8(0, 1), row.int8(0, 2), digest_of(row.text(0, 3))},
            {row.int8(0, 4), row.int8(0, 2), digest_of(row.text(0, 5))},
            {}};
}

// Nowhere: the policy says so. No code of a user's runs beside the DELETE here either.
Moving discard(pg::Spi &spi, const Work &work, const Picked &picked, const Member &member,
               const ArchiveTable &nowhere)
{
    pg::GucScope settings;
    if (needs_no_triggers(spi, member))
        settings.set_as_server("session_replication_role", "replica");
    pg::Rows rows = spi.run_generic(work.sql.remove_rows(member, nowhere.columns), picked.params);
    Moving moving{};
    for (std::size_t row = 0; row < rows.size(); ++row) {
        RowTotal &total = moving.deleted;
        total = {total.rows + rows.int8(row, 2), total.bytes + rows.int8(row, 3),
                 total.digest + digest_of(rows.text(row, 4))};
        moving.leaves.push_back(rows.oid(row, 1));
    }
    moving.written = moving.deleted;
    return moving;
}

// Moves the rows of one relation: a member, or a leaf of one in its place.
Moving move_rows(pg::Spi &spi, const Work &work, const Picked &picked, const Member &member,
                 const ArchiveTable &archive)
{
    const std::int64_t before = count_rows(spi, work, picked, member);
    const Moving moving = !OidIsValid(archive.relid) ? discard(spi, work, picked, member, archive)
                          : ArchiveWriter::can_write(archive.written())
                              ? move_directly(spi, work, picked, member, archive)
                              : move_by_insert(spi, work, picked, member, archive);
    check_digests(moving, member, archive);
    check_nothing_left(spi, work, picked, member, before, moving.deleted.rows);
    return moving;
}

Moved move_member(pg::Spi &spi, const Work &work, const Picked &picked, const Member &member,
                  const ArchiveTable &archive, const std::vector<std::string> &spared)
{
    const TimestampTz begun = GetCurrentTimestamp();
    Moved moved{member.table.relid, archive.name, 0, 0, {}, 0, {}, {}, {}, archive.window_name};
    for (const std::string &from : sources_of(spi, work, picked, member, spared)) {
        Member source = member;
        source.from = from;
        const Moving part = move_rows(spi, work, picked, source, archive);
        moved.rows += part.deleted.rows;
        moved.bytes += part.deleted.bytes;
        moved.digest = moved.digest + part.deleted.digest;
        moved.leaves.insert(moved.leaves.end(), part.leaves.begin(), part.leaves.end());
    }
    moved.ms = pg::ms_since(begun);
    return moved;
}

} // namespace

bool has_user_triggers(pg::Spi &spi, const Work &work, const std::vector<ArchiveTable> &archives)
{
    auto on_member = [&](const Member &member) { return has_user_triggers(spi, member.table.relid); };
    auto on_archive = [&](const ArchiveTable &archive) { return has_user_triggers(spi, archive.relid); };
    return std::any_of(work.family.members.begin(), work.family.members.end(), on_member) ||
           std::any_of(archives.begin(), archives.end(), on_archive);
}

namespace
{

// Where there are triggers: they may have given the family new rows, which must not be cascaded away.
void check_no_children(pg::Spi &spi, const Work &work, const Picked &picked, std::size_t parent)
{
    for (const Member &member : work.family.members)
        for (const Link &link : member.links)
            if (link.parent == parent)
                check_nothing_left(spi, work, picked, member, 1, 0);
}

} // namespace

void move_picked(pg::Spi &spi, const Work &work, const std::vector<ArchiveTable> &archives,
                 const Picked &picked, const ToSpare &spared, Batch &batch)
{
    batch.roots = picked.count;
    batch.key_from = picked.row.text(0, 4);
    batch.key_to = picked.row.text(0, 5);
    lock_members(spi, work, picked, spared);
    const bool triggers = has_user_triggers(spi, work, archives);
    for (std::size_t i = work.family.members.size(); i-- > 0;) {
        if (spares(spared, i))
            continue;
        if (triggers)
            check_no_children(spi, work, picked, i);
        batch.moved.push_back(
            move_member(spi, work, picked, work.family.members[i], archives[i], spared.leaves));
        batch.rows += batch.moved.back().rows;
    }
}

namespace
{

// From now on its grace period runs.
void note_detached(pg::Spi &spi, const Work &work, const std::string &target, const std::string &leaf)
{
    spi.run("INSERT INTO privacy_scan.detached_tables (target, leaf, root) VALUES ($1, $2, $3)"
            " ON CONFLICT (target, leaf) DO UPDATE SET detached_at = clock_timestamp(), dropped_at = NULL,"
            " root = $3",
            {pg::text_param(target), pg::text_param(leaf), pg::regclass_param(work.policy.root)});
}

// The table that holds what was moved; none of its own where the archive itself does, or nothing.
std::string leaf_of(const Work &work, const Moved &moved)
{
    if (work.policy.discards())
        return {};
    return moved.whole.empty() ? moved.window : moved.whole;
}

} // namespace

void write_ledger(pg::Spi &spi, const Work &work, const Batch &batch)
{
    for (const Moved &moved : batch.moved) {
        if (moved.rows == 0 && moved.is_counted)
            continue;
        const std::string root = work.family.root().name, source = pg::qualified_name(moved.relid),
                          leaf = leaf_of(work, moved);
        pg::CatalogScope scope;
        spi.run_kept("INSERT INTO privacy_scan.archive_ledger"
                     " (root, relation, root_name, source, target, rows, bytes, digest, key_from, key_to, cutoff, "
                     "leaf, bounds, action, key)"
                     " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
                     {pg::regclass_param(work.policy.root), pg::regclass_param(moved.relid), pg::text_param(root),
                 pg::text_param(source), pg::text_param(moved.target),
                 moved.is_counted ? pg::int8_param(moved.rows) : pg::null_param(INT8OID),
                 moved.is_counted ? pg::int8_param(moved.bytes) : pg::null_param(INT8OID),
                 moved.is_counted ? pg::text_param(hex_of(moved.digest)) : pg::null_param(TEXTOID),
                 pg::text_param(batch.key_from), pg::text_param(batch.key_to),
                 pg::timestamptz_param(work.cutoff.instant), pg::text_param(leaf),
                 pg::text_param(moved.bounds),
                 pg::text_param(work.policy.discards() ? "discard" : "archive"),
                 pg::text_param(key_in_words(work.policy))});
        if (work.policy.detaches())
            note_detached(spi, work, moved.target, leaf);
    }
}

bool is_busy(const pg::ErrorText &failure)
{
    return failure.sqlstate == "55P03" || failure.sqlstate == "40P01" || failure.sqlstate == "40001";
}

namespace
{

// As a list, quoted.
std::string columns_of(pg::Spi &spi, const Member &member)
{
    return spi
        .run("SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_catalog.pg_attribute"
             " WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped",
             {pg::oid_param(member.table.relid)})
        .text(0, 1);
}

// Of a policy that discards: none, whose relid is invalid.
std::vector<ArchiveTable> open_archives(pg::Spi &spi, const Work &work)
{
    std::vector<ArchiveTable> archives;
    for (const Member &member : work.family.members) {
        if (work.policy.discards()) {
            archives.push_back({InvalidOid, {}, columns_of(spi, member), InvalidOid, {}});
            continue;
        }
        archives.push_back(open_archive(spi, member, work.policy.archive_schema));
        for (const Member &other : work.family.members)
            if (other.table.relid == archives.back().relid)
                pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                         archives.back().name + " cannot be the archive of " + member.name,
                         "It belongs to the family itself.", "Name another archive_schema.");
        if (work.policy.has_windows())
            open_window(spi, member, archives.back());
    }
    return archives;
}

// Keys, columns and partitions as they are now, locked until the end of the transaction so that they stay: a
// key added since would cascade rows away that nobody archived, a partition attached since would not be
// searched. (To attach one that has a foreign key takes a lock on what it refers to.)
std::vector<ArchiveTable> prepare(pg::Spi &spi, Work &work)
{
    Family family = read_family(spi, work.policy.root, RowExclusiveLock);
    if (!same_family(family, work.family))
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "foreign keys to " + work.family.root().name + " or its family changed during the run", {},
                 "Run it again.");
    work.family = std::move(family); // its partitions
    work.policy.holds = lock_holds(spi, work.policy.root);
    return open_archives(spi, work);
}

} // namespace

std::vector<ArchiveTable> prepare_with_locks(pg::Spi &spi, Work &work)
{
    std::vector<ArchiveTable> archives;
    pg::LockWait wait;
    if (auto failure = pg::try_with_locks({work.policy.root, hold_table()}, wait,
                                          [&] { archives = prepare(spi, work); }))
        pg::raise(*failure);
    return archives;
}

} // namespace privacy_scan::retention
