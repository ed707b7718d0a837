// See split_switch.hpp.
#include "pg/postgres.hpp"

#include "split/split_switch.hpp"

#include "partition/foreign_key.hpp"
#include "partition/partition_create.hpp"
#include "partition/proven.hpp"
#include "pg/clock.hpp"
#include "pg/ident.hpp"
#include "pg/kept_plans.hpp"
#include "pg/strong_lock.hpp"
#include "split/split_apply.hpp"
#include "split/split_pieces.hpp"

extern "C" {
#include <catalog/partition.h>
#include <storage/lmgr.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::split
{

namespace
{

// More would keep others waiting: they are applied before, without a lock.
constexpr std::int64_t most_changes = 200;

// What would tie the copies that are left to the relations that their foreign keys refer to.
void drop_foreign_keys(pg::Spi &spi, const State &state)
{
    pg::Rows rows = spi.run("SELECT conrelid, quote_ident(conname::text) FROM pg_catalog.pg_constraint"
                            " WHERE conrelid = ANY ($1) AND contype = 'f' AND conparentid = 0",
                            {pg::oids_param(state.relids())});
    for (std::size_t row = 0; row < rows.size(); ++row)
        spi.run("ALTER TABLE " + pg::qualified_name(rows.oid(row, 1)) + " DROP CONSTRAINT " +
                rows.text(row, 2));
}

void require_ready(pg::Spi &spi, const State &state)
{
    require_fit(spi, state.parent);
    require_intact(spi, state);
    if (indexes_of(spi, state.parent) != state.indexes)
        pg::fail(ERRCODE_OBJECT_IN_USE,
                 "the indexes of relation \"" + pg::relation_name(state.parent) + "\" changed meanwhile", {},
                 "It is tried again once the pieces have them.");
    if (!are_aligned(spi, state))
        pg::fail(ERRCODE_OBJECT_IN_USE,
                 "the columns of relation \"" + pg::relation_name(state.parent) + "\" changed meanwhile", {},
                 "It is tried again once those of the pieces have.");
    if (count_changes(state, most_changes + 1) > most_changes)
        pg::fail(ERRCODE_OBJECT_IN_USE,
                 "more than " + std::to_string(most_changes) + " rows changed during the last moments", {},
                 "It is tried again when less is written.");
    for (const Origin &source : state.sources)
        pg::require_no_serializable_readers(source.relid);
}

// It is locked before it could be known for sure.
void require_same_default(Oid parent, Oid locked)
{
    if (pg::guarded([=] { return get_default_partition_oid(parent); }) != locked)
        pg::fail(ERRCODE_OBJECT_IN_USE,
                 "the DEFAULT partition of relation \"" + pg::relation_name(parent) + "\" changed meanwhile",
                 {}, "It is tried again.");
}

// Here some rows refer to the sources: they are in a piece, which takes over the foreign key's share as it is
// attached, in the same transaction.
std::vector<partition::Share> shares_in_sources(pg::Spi &spi, const State &state)
{
    return partition::shares_in(spi, state.relids());
}

// Beside those of attaching: what foreign keys refer to, which loses those of the sources; who refers to the
// sources, likewise; and the sources.
void lock_rest(pg::Spi &spi, const std::vector<partition::ForeignKey> &keys, const State &state)
{
    for (const partition::Share &share : shares_in_sources(spi, state))
        pg::guarded([&] { LockRelationOid(share.referring.relid, AccessExclusiveLock); });
    for (const partition::ForeignKey &key : keys)
        pg::guarded([&] { LockRelationOid(key.referenced, AccessExclusiveLock); });
    for (const Origin &source : state.sources)
        pg::guarded([&] { LockRelationOid(source.relid, AccessExclusiveLock); });
}

// How many tables, indexes and foreign keys, either way, the pieces have as partitions.
std::int64_t count_in_place(pg::Spi &spi, const State &state)
{
    pg::CatalogScope scope;
    std::vector<Oid> pieces;
    for (const Piece &piece : state.pieces)
        pieces.push_back(piece.relid);
    pg::Rows rows = spi.run(
        "SELECT (SELECT count(*) FROM pg_catalog.pg_inherits WHERE inhrelid = ANY ($2) AND inhparent = $1)"
        " + (SELECT count(*) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_inherits h ON h.inhrelid = "
        "i.indexrelid"
        "  JOIN pg_catalog.pg_index p ON p.indexrelid = h.inhparent AND p.indrelid = $1"
        "  WHERE i.indrelid = ANY ($2) AND i.indisvalid)"
        " + (SELECT count(*) FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_constraint p ON p.oid = "
        "c.conparentid"
        "  AND p.contype = 'f' AND p.conparentid = 0 AND $1 IN (p.conrelid, p.confrelid)"
        "  WHERE c.contype = 'f' AND (c.conrelid = ANY ($2) AND c.convalidated OR c.confrelid = ANY ($2)))",
        {pg::oid_param(state.parent), pg::oids_param(pieces)});
    return rows.int8(0, 1);
}

// What each piece must have: itself, and a match for each index and foreign key of the parent.
std::int64_t count_wanted(pg::Spi &spi, const State &state)
{
    pg::CatalogScope scope;
    pg::Rows rows =
        spi.run("SELECT 1 + (SELECT count(*) FROM pg_catalog.pg_index WHERE indrelid = $1)"
                " + (SELECT count(*) FROM pg_catalog.pg_constraint WHERE $1 IN (conrelid, confrelid)"
                "  AND contype = 'f' AND conparentid = 0)",
                {pg::oid_param(state.parent)});
    return rows.int8(0, 1) * static_cast<std::int64_t>(state.pieces.size());
}

void require_in_place(pg::Spi &spi, const Stretch &stretch, const State &state)
{
    if (count_in_place(spi, state) != count_wanted(spi, state))
        pg::fail(ERRCODE_INTERNAL_ERROR,
                 "the switch of " + stretch.in_words() + " did not leave everything in place");
}

// The pieces get their foreign keys before the locks: nobody else knows of them before the commit.
void add_keys(const State &state, const std::vector<partition::ForeignKey> &keys)
{
    for (const Piece &piece : state.pieces)
        for (const partition::ForeignKey &key : keys)
            partition::add_proven_key(piece.relid, key);
}

char replica_identity_of(pg::Spi &spi, Oid parent)
{
    return spi
        .run("SELECT relreplident::text FROM pg_catalog.pg_class WHERE oid = $1", {pg::oid_param(parent)})
        .text(0, 1)[0];
}

void require_same_keys(pg::Spi &spi, const State &state, const std::vector<partition::ForeignKey> &keys)
{
    if (!partition::is_same(keys, partition::foreign_keys_of(spi, state.parent)))
        pg::fail(ERRCODE_OBJECT_IN_USE,
                 "the foreign keys of relation \"" + pg::relation_name(state.parent) + "\" changed meanwhile",
                 {}, "It is tried again.");
}

// What is asked under the locks.
void rehearse(pg::Spi &spi, const State &state)
{
    partition::foreign_keys_of(spi, state.parent);
    shares_in_sources(spi, state);
    require_fit(spi, state.parent);
    require_intact(spi, state);
    are_aligned(spi, state);
    replica_identity_of(spi, state.parent);
    indexes_of(spi, state.parent);
    count_in_place(spi, state);
    count_wanted(spi, state);
}

} // namespace

Switched switch_pieces(pg::Spi &spi, const Stretch &stretch, const State &state)
{
    pg::OwnerScope owner(stretch.owner());
    const partition::Layout layout = stretch.set.layout();
    partition::Blueprint blueprint =
        partition::read_blueprint(spi, state.parent, stretch.sources.back().relid);
    const pg::KeptPlans plans(spi);
    rehearse(spi, state);
    std::vector<partition::ForeignKey> keys;
    pg::GucScope settings;
    pg::ask_patiently(settings);
    Switched switched{};
    TimestampTz begun = 0;
    partition::lock_for_attach(
        stretch.set, blueprint, AccessExclusiveLock, layout.default_partition, switched.wait,
        [&] {
            begun = GetCurrentTimestamp();
            lock_rest(spi, keys, state);
            require_same_keys(spi, state, keys);
            blueprint.replica_identity = replica_identity_of(spi, state.parent);
            require_ready(spi, state);
            require_same_default(state.parent, layout.default_partition);
        },
        [&] { add_keys(state, keys = partition::foreign_keys_of(spi, state.parent)); });
    switched.applied = apply_changes(stretch.set, state, most_changes);
    for (const partition::Share &share : shares_in_sources(spi, state))
        pg::guarded([&] { partition::drop_share(share.constraint); });
    const Oid default_partition = layout.default_partition;
    if (OidIsValid(default_partition)) // as long as the sources are partitions none of their rows can be there
        partition::prove_default(spi, default_partition, bound_check(stretch.set, stretch.bounds()));
    partition::drop_inherited_keys(spi, state.relids());
    for (const Source &source : stretch.sources)
        spi.run("ALTER TABLE " + stretch.set.name() + " DETACH PARTITION " + source.name);
    drop_foreign_keys(spi, state);
    for (const Piece &piece : state.pieces)
        partition::attach_table(spi, stretch.set, blueprint, piece.relid, piece.bounds);
    if (OidIsValid(default_partition))
        partition::end_proof(spi, default_partition);
    require_in_place(spi, stretch, state);
    switched.lock_held_ms = pg::ms_since(begun);
    return switched;
}

} // namespace privacy_scan::split
