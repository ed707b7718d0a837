// See split_run.hpp.
#include "pg/postgres.hpp"

#include "split/split_run.hpp"

#include "pg/owner.hpp"
#include "settings/settings.hpp"
#include "split/split_plan.hpp"

extern "C" {
#include <utils/timestamp.h>
}

namespace privacy_scan::split
{

namespace
{

constexpr double wait_ms = 100; // between two looks at whether others have ended
constexpr std::size_t most_looked_at = 32;
constexpr double enough_waiting = 3000; // then other jobs come first

std::vector<Oid> relids_of(const partition::Layout &layout, std::size_t first, std::size_t count)
{
    const auto begin = layout.partitions.begin() + static_cast<std::ptrdiff_t>(first);
    return {begin, begin + static_cast<std::ptrdiff_t>(count)};
}

// Without an end there is no telling by bounds: its rows say what it spans.
void add_endless(pg::Spi &spi, const partition::Layout &layout, std::size_t most, std::vector<Misfit> &found)
{
    for (std::size_t i = 0; i < layout.taken.size() && found.size() < most; ++i) {
        if (is_finite(layout.taken[i]))
            continue;
        Stretch stretch = read_stretch(spi, {layout.partitions[i]});
        Tiling tiling = tile_stretch(spi, stretch);
        if (!tiling.refusal)
            found.push_back({std::move(stretch), std::move(tiling.cells)});
    }
}

struct Request {
    bool drops_sources;
};

std::optional<Request> find_request(pg::Spi &spi, Oid parent)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run("SELECT drops_sources FROM privacy_scan.split_requests WHERE parent = $1",
                            {pg::regclass_param(parent)});
    if (rows.empty())
        return std::nullopt;
    return Request{rows.boolean(0, 1)};
}

// What failed last comes last. InvalidOid: none is left.
Oid next_begun(pg::Spi &spi, Oid parent)
{
    pg::CatalogScope scope;
    pg::Rows rows =
        spi.run("SELECT partition::oid FROM privacy_scan.split_states WHERE parent = $1 AND in_background"
                " AND phase <> 'done' ORDER BY last_error_at NULLS FIRST, started_at LIMIT 1",
                {pg::regclass_param(parent)});
    return rows.empty() ? InvalidOid : rows.oid(0, 1);
}

} // namespace

std::vector<Misfit> find_misfits(pg::Spi &spi, Oid parent, std::size_t most)
{
    const partition::PartitionSet set(pg::require_owner(parent), partition::require_policy(spi, parent));
    const partition::Layout layout = set.layout();
    std::vector<Misfit> found;
    const auto most_cells = static_cast<std::size_t>(settings::partition_max_created());
    for (std::size_t from = 0; found.size() < most;) {
        const std::optional<Group> group =
            next_misfit(set.grid(), layout.taken, from, most_exchanged, most_cells);
        if (!group)
            break;
        found.push_back({read_stretch(spi, relids_of(layout, group->first, group->count)), group->cells});
        from = group->first + group->count;
    }
    add_endless(spi, layout, most, found);
    return found;
}

bool request_reshape(pg::Spi &spi, Oid parent, bool drops_sources)
{
    pg::CatalogScope scope;
    spi.run("DELETE FROM privacy_scan.split_requests r"
            " WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = r.parent)");
    return spi
        .run("INSERT INTO privacy_scan.split_requests AS r (parent, drops_sources) VALUES ($1, $2)"
             " ON CONFLICT (parent) DO UPDATE SET drops_sources = $2 RETURNING xmax = 0",
             {pg::regclass_param(parent), pg::bool_param(drops_sources)})
        .boolean(0, 1);
}

bool cancel_reshape(pg::Spi &spi, Oid parent)
{
    pg::CatalogScope scope;
    return spi.run("DELETE FROM privacy_scan.split_requests WHERE parent = $1", {pg::regclass_param(parent)})
               .affected() > 0;
}

// The next stretch that doesn't fit, where that was asked for: one that nothing keeps from it, as long as
// there is one. False where all fit.
bool SetRun::begin_next(pg::Spi &spi)
{
    const std::optional<Request> request = find_request(spi, parent_);
    if (!request)
        return false;
    const std::vector<Misfit> misfits = find_misfits(spi, parent_, most_looked_at);
    if (misfits.empty()) {
        cancel_reshape(spi, parent_);
        return false;
    }
    const auto free = std::find_if(misfits.begin(), misfits.end(), [&](const Misfit &misfit) {
        return find_refusals(spi, misfit.stretch).empty() && !refuse_many(misfit.stretch, misfit.cells);
    });
    const Misfit &misfit = free == misfits.end() ? misfits.front() : *free;
    last_ = begin(spi, misfit.stretch, misfit.cells, {true, request->drops_sources});
    relid_ = misfit.stretch.sources.front().relid;
    return true;
}

void SetRun::count(pg::Spi &spi)
{
    if (last_.step != to_string(Phase::switch_over) || last_.state != "done now")
        return;
    const State state = require_state(spi, relid_);
    rows_ += state.copied_rows;
    pieces_ += static_cast<std::int64_t>(state.pieces.size());
}

bool SetRun::work(pg::Spi &spi)
{
    relid_ = next_begun(spi, parent_);
    if (!OidIsValid(relid_))
        return begin_next(spi);
    last_ = advance(spi, relid_);
    waited_ms_ = last_.is_waiting ? waited_ms_ + wait_ms : 0;
    count(spi);
    return true;
}

bool SetRun::step(pg::Spi &spi)
{
    const std::int64_t now = GetCurrentTimestamp();
    begun_ = begun_.value_or(now);
    const double pause = last_.is_waiting ? wait_ms : rest_after(last_);
    if (static_cast<double>(now - *begun_) / 1000 + pause > static_cast<double>(settings::split_slice_ms()))
        return false;
    rest(pause);
    try {
        if (!work(spi))
            return false;
    } catch (const pg::Error &error) {
        failure_ = pg::text_of(error);
        throw;
    } catch (const pg::PgError &error) {
        failure_ = pg::text_of(error);
        throw;
    }
    return waited_ms_ < enough_waiting && (now - *begun_) / 1000 < settings::split_slice_ms();
}

void SetRun::keep_failure(pg::Spi &spi)
{
    if (failure_ && OidIsValid(relid_))
        store_error(spi, relid_, *failure_);
}

} // namespace privacy_scan::split
