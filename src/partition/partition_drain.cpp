// See partition_drain.hpp.
#include "pg/postgres.hpp"

#include "partition/partition_drain.hpp"

#include "partition/default_split.hpp"
#include "pg/clock.hpp"
#include "pg/ident.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <storage/lockdefs.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::partition
{

namespace
{

struct Stray {
    Cell piece;
    std::int64_t rows;
};

struct Survey {
    std::vector<Stray> movable;   // within the batch
    std::vector<Stray> too_large; // cells with more rows than a batch
    std::int64_t far_off = 0;     // rows outside the window
    std::int64_t unfit = 0; // rows whose keys are no ids of the key's kind, where no fitting one is near
};

// Of ids of a kind, those that fit are what counts: others go with them where they sort among them.
struct Count {
    std::int64_t rows, fitting;
};

// Questions about the rows of DEFAULT. Runs inside OwnerScope.
class DefaultRows
{
  public:
    DefaultRows(pg::Spi &spi, const PartitionSet &set, Oid relid)
        : spi_(spi), key_(set.key()), column_(pg::quote(set.policy().key)),
          from_(" FROM " + pg::qualified_name(relid)), fits_(fits_clause(set))
    {
    }

    // The smallest fitting key within the range.
    std::optional<std::int64_t> first(const Cell &range)
    {
        pg::Rows rows = spi_.run("SELECT " + column_ + from_ + within() + " AND " + fits_ + " ORDER BY " +
                                     column_ + " LIMIT 1",
                                 bounds(range));
        if (rows.empty())
            return std::nullopt;
        const Datum key = rows.datum(0, 1);
        return pg::guarded([=] { return key_.axis_of(key); });
    }

    Count count(const Cell &range) { return count_of(spi_.run(counting() + within(), bounds(range))); }
    Count count_all() { return count_of(spi_.run(counting())); }

  private:
    static std::string fits_clause(const PartitionSet &set)
    {
        return set.key().kind() ? fits_kind(set.policy().key_kind, pg::quote(set.policy().key)) : "true";
    }
    static Count count_of(const pg::Rows &rows) { return {rows.int8(0, 1), rows.int8(0, 2)}; }
    std::string counting() const { return "SELECT count(*), count(*) FILTER (WHERE " + fits_ + ")" + from_; }
    std::string within() const { return " WHERE " + column_ + " >= $1 AND " + column_ + " < $2"; }
    std::vector<pg::Param> bounds(const Cell &range) const
    {
        return {pg::datum_param(key_.type(), key_.value_of(range.lower)),
                pg::datum_param(key_.type(), key_.value_of(range.upper))};
    }

    pg::Spi &spi_;
    const KeyAxis &key_;
    std::string column_, from_, fits_;
};

// The cells around the clock that strays may get partitions in.
Cell window(const PartitionSet &set, std::int64_t clock)
{
    const int ahead = settings::partition_max_ahead();
    return {step_cells(set.grid(), clock, -ahead), step_cells(set.grid(), clock, ahead + 1)};
}

Survey survey(DefaultRows &rows, const PartitionSet &set, const Layout &layout, const Cell &window,
              std::int64_t batch)
{
    Survey found;
    std::int64_t budget = batch;
    Count inside{0, 0};
    Cell rest = window;
    while (auto key = rows.first(rest)) {
        std::optional<Cell> piece = free_piece(set.grid(), layout.taken, *key);
        if (!piece)
            break; // the grid ends before this row
        const Count count = rows.count(*piece);
        const Stray stray{*piece, count.rows};
        inside = {inside.rows + count.rows, inside.fitting + count.fitting};
        if (stray.rows > batch)
            found.too_large.push_back(stray);
        else if (stray.rows <= budget) { // otherwise it waits for the next batch
            found.movable.push_back(stray);
            budget -= stray.rows;
        }
        rest.lower = piece->upper;
    }
    const Count all = rows.count_all();
    found.far_off = all.fitting - inside.fitting;
    found.unfit = (all.rows - inside.rows) - found.far_off;
    return found;
}

void report_leftovers(const PartitionSet &set, const std::string &default_name, const Survey &found,
                      Actions &actions)
{
    for (const Stray &stray : found.too_large) {
        Action action{default_name, stray.piece, "left: more rows than a batch", stray.rows, 0, {}};
        action.error.message = "call drain_default() with batch_rows => " + std::to_string(stray.rows) +
                               "; the relation is locked while they are rewritten";
        actions.add(set, action);
    }
    if (found.far_off > 0) {
        Action action{default_name, std::nullopt, "left: too far from the clock", found.far_off, 0, {}};
        action.error.message =
            "their keys lie more than privacy_scan.partition_max_ahead cells away, or outside the "
            "calendar; correct or delete them, or create partitions with ensure_partitions()";
        actions.add(set, action);
    }
    if (found.unfit > 0) {
        Action action{default_name, std::nullopt, "left: not of the key's kind", found.unfit, 0, {}};
        action.error.message = "their keys are no ids of kind " + set.policy().key_kind +
                               ", so that nobody can tell when they were made";
        actions.add(set, action);
    }
}

std::vector<SplitTarget> make_targets(pg::Spi &spi, const PartitionSet &set, const Blueprint &blueprint,
                                      const std::vector<Stray> &strays)
{
    std::vector<SplitTarget> targets;
    for (const Stray &stray : strays) {
        const std::string name = new_partition_name(set.table().relid, set.grid().suffix(stray.piece.lower));
        targets.push_back(
            {stray.piece, create_table(spi, set.table().relid, blueprint, name, WithIndexes::no)});
    }
    return targets;
}

std::int64_t move(pg::Spi &spi, const PartitionSet &set, const Layout &layout,
                  const std::vector<Stray> &strays, Actions &actions)
{
    const Oid default_partition = layout.default_partition;
    const Blueprint blueprint = read_blueprint(spi, set, layout);
    std::vector<SplitTarget> targets = make_targets(spi, set, blueprint, strays);
    // The SHARE UPDATE EXCLUSIVE lock that the caller holds keeps the layout as it was surveyed. What follows
    // the locks is not tried again: the rewriting can't be undone within a table that outlives the try.
    lock_for_attach(set, blueprint, AccessExclusiveLock, default_partition, actions.wait(),
                    [=] { pg::require_no_serializable_readers(default_partition); });
    const TimestampTz locked = GetCurrentTimestamp();
    split_default(set, default_partition, targets);
    for (const SplitTarget &target : targets)
        attach_table(spi, set, blueprint, target.relid, target.bounds);
    const double ms = pg::ms_since(locked);
    std::int64_t moved = 0;
    for (const SplitTarget &target : targets) {
        const std::string name = pg::qualified_name(target.relid);
        spi.run("ANALYZE " + name);
        actions.add(set, {name, target.bounds, "drained", target.rows, ms, {}});
        moved += target.rows;
    }
    return moved;
}

} // namespace

std::int64_t drain(pg::Spi &spi, const PartitionSet &set, std::int64_t clock, std::int64_t batch,
                   Actions &actions)
{
    const Layout layout = set.layout();
    if (!OidIsValid(layout.default_partition) || has_no_blocks(layout.default_partition))
        return 0;
    pg::OwnerScope owner(set.table().owner);
    DefaultRows rows(spi, set, layout.default_partition);
    const Survey found = survey(rows, set, layout, window(set, clock), batch);
    std::int64_t moved = 0;
    if (!found.movable.empty())
        moved = move(spi, set, layout, found.movable, actions);
    report_leftovers(set, pg::qualified_name(layout.default_partition), found, actions);
    return moved;
}

} // namespace privacy_scan::partition
