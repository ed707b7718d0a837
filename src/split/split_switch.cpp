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

// What would tie the copy that is left to the relations that its foreign keys refer to.
void drop_foreign_keys(pg::Spi &spi, const Source &source)
{
    pg::Rows rows = spi.run("SELECT quote_ident(conname::text) FROM pg_catalog.pg_constraint"
                            " WHERE conrelid = $1 AND contype = 'f' AND conparentid = 0",
                            {pg::oid_param(source.relid)});
    for (std::size_t row = 0; row < rows.size(); ++row)
        spi.run("ALTER TABLE " + source.name + " DROP CONSTRAINT " + rows.text(row, 1));
}

void require_ready(pg::Spi &spi, const State &state)
{
    require_intact(spi, state);
    if (indexes_of(spi, state.parent) != state.indexes)
        pg::fail(ERRCODE_OBJECT_IN_USE,
                 "the indexes of relation \"" + pg::relation_name(state.parent) + "\" changed meanwhile", {},
                 "It is tried again once the pieces have them.");
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
    std::vector<partition::Share> shares;
    for (const Origin &source : state.sources)
        for (const partition::Share &share : partition::shares_in(spi, source.relid))
            shares.push_back(share);
    return shares;
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

// How many pieces are a partition, with a match for each index and foreign key of the parent, and its share
// of those that refer to it.
std::int64_t count_in_place(pg::Spi &spi, const State &state)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run(
        "SELECT count(*) FROM privacy_scan.split_pieces s WHERE s.partition = $2"
        " AND EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = s.piece AND inhparent = $1)"
        " AND NOT EXISTS (SELECT FROM pg_catalog.pg_index p WHERE p.indrelid = $1 AND NOT EXISTS"
        "  (SELECT FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_index i ON i.indexrelid = h.inhrelid"
        "   WHERE h.inhparent = p.indexrelid AND i.indrelid = s.piece AND i.indisvalid))"
        " AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint c WHERE c.conrelid = $1 AND c.contype = 'f' "
        "AND"
        "  NOT EXISTS (SELECT FROM pg_catalog.pg_constraint o"
        "   WHERE o.conrelid = s.piece AND o.conparentid = c.oid AND o.convalidated))"
        " AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint c WHERE c.confrelid = $1 AND c.contype = 'f' "
        "AND"
        "  c.conparentid = 0 AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint o"
        "   WHERE o.confrelid = s.piece AND o.conparentid = c.oid))",
        {pg::oid_param(state.parent), pg::regclass_param(state.relid)});
    return rows.int8(0, 1);
}

void require_in_place(pg::Spi &spi, const Stretch &stretch, const State &state)
{
    if (count_in_place(spi, state) != static_cast<std::int64_t>(state.pieces.size()))
        pg::fail(ERRCODE_INTERNAL_ERROR,
                 "the switch of " + stretch.in_words() + " did not leave everything in place");
}

// What is asked under the locks.
void rehearse(pg::Spi &spi, const State &state)
{
    partition::foreign_keys_of(spi, state.parent);
    shares_in_sources(spi, state);
    require_intact(spi, state);
    indexes_of(spi, state.parent);
    count_in_place(spi, state);
}

} // namespace

Switched switch_pieces(pg::Spi &spi, const Stretch &stretch, const State &state)
{
    pg::OwnerScope owner(stretch.owner());
    const partition::Layout layout = stretch.set.layout();
    const partition::Blueprint blueprint =
        partition::read_blueprint(spi, state.parent, stretch.sources.back().relid);
    const pg::KeptPlans plans(spi);
    rehearse(spi, state);
    std::vector<partition::ForeignKey> keys;
    pg::GucScope settings;
    pg::ask_patiently(settings);
    Switched switched{};
    TimestampTz begun = 0;
    partition::lock_for_attach(
        stretch.set, blueprint, AccessExclusiveLock, layout.default_partition, switched.wait, [&] {
            begun = GetCurrentTimestamp();
            keys = partition::foreign_keys_of(spi, state.parent); // nobody changes them any more
            lock_rest(spi, keys, state);
            require_ready(spi, state);
            require_same_default(state.parent, layout.default_partition);
        });
    switched.applied = apply_changes(stretch.set, state, most_changes);
    for (const partition::Share &share : shares_in_sources(spi, state))
        pg::guarded([&] { partition::drop_share(share.constraint); });
    const Oid default_partition = layout.default_partition;
    if (OidIsValid(default_partition)) // as long as the sources are partitions none of their rows can be there
        partition::prove_default(spi, default_partition, bound_check(stretch.set, stretch.bounds()));
    for (const Source &source : stretch.sources) {
        partition::drop_inherited_keys(spi, source.relid);
        spi.run("ALTER TABLE " + stretch.set.name() + " DETACH PARTITION " + source.name);
        drop_foreign_keys(spi, source);
    }
    for (const Piece &piece : state.pieces) {
        for (const partition::ForeignKey &key : keys)
            partition::add_proven_key(spi, piece.relid, key);
        partition::attach_table(spi, stretch.set, blueprint, piece.relid, piece.bounds);
    }
    if (OidIsValid(default_partition))
        partition::end_proof(spi, default_partition);
    require_in_place(spi, stretch, state);
    switched.lock_held_ms = pg::ms_since(begun);
    return switched;
}

} // namespace privacy_scan::split
