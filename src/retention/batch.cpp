// See batch.hpp.
#include "pg/postgres.hpp"

#include "retention/batch.hpp"

#include "pg/failpoint.hpp"
#include "pg/subxact.hpp"
#include "settings/settings.hpp"

namespace privacy_scan::retention
{

namespace
{

Picked pick(pg::Spi &spi, const Work &work, std::int64_t number, std::int64_t pass_over)
{
    return Picked(spi.run(work.sql.pick_roots(), {pg::datum_param(work.cutoff.type, work.cutoff.value),
                                                  pg::int8_param(number), pg::int8_param(pass_over)}),
                  work.sql.columns());
}

std::int64_t count_family(pg::Spi &spi, const Work &work, const Picked &picked)
{
    std::int64_t rows = 0;
    for (const Member &member : work.family.members)
        rows += count_rows(spi, work, picked, member);
    return rows;
}

// Fewer roots until the family's rows fit.
Picked pick_at_most(pg::Spi &spi, const Work &work, std::int64_t number, std::int64_t pass_over,
                    std::int64_t max_rows)
{
    for (;;) {
        Picked picked = pick(spi, work, number, pass_over);
        if (picked.count <= 1)
            return picked;
        const std::int64_t rows = count_family(spi, work, picked);
        if (rows <= max_rows)
            return picked;
        const double fit =
            static_cast<double>(picked.count) * static_cast<double>(max_rows) / static_cast<double>(rows);
        number = std::max<std::int64_t>(1, std::min(picked.count - 1, static_cast<std::int64_t>(fit)));
    }
}

struct Extent {
    std::int64_t number, pass_over, max_rows;
    bool strict;
};

Batch move_once(pg::Spi &spi, const Work &work, const std::vector<ArchiveTable> &archives,
                const Extent &extent)
{
    Batch batch;
    {
        pg::OwnerScope owner(work.family.root().table.owner);
        spi.run("SET LOCAL work_mem = '64MB'"); // for the rows between DELETE and INSERT; ends with the scope
        const Picked picked = extent.strict
                                  ? pick_at_most(spi, work, extent.number, extent.pass_over, extent.max_rows)
                                  : pick(spi, work, extent.number, extent.pass_over);
        batch.last = picked.count < extent.number;
        if (picked.count == 0)
            return batch;
        PS_FAILPOINT("batch.picked");
        move_picked(spi, work, archives, picked, {}, batch);
        PS_FAILPOINT("batch.moved");
    }
    write_ledger(spi, work, batch);
    PS_FAILPOINT("batch.noted");
    return batch;
}

} // namespace

Batch move_batch(pg::Spi &spi, Work &work, std::int64_t max_rows, bool strict)
{
    pg::require_read_committed("retention");
    const std::vector<ArchiveTable> archives = prepare_with_locks(spi, work);
    const auto fit = static_cast<std::int64_t>(static_cast<double>(max_rows) / work.rows_per_root);
    Extent extent{std::clamp<std::int64_t>(fit, 1, 20000), work.passed_over, max_rows, strict};
    for (int attempt = 1;; ++attempt) {
        Batch batch;
        auto failure = pg::try_in_subtransaction([&] { batch = move_once(spi, work, archives, extent); });
        if (!failure) {
            if (batch.roots > 0)
                work.rows_per_root = static_cast<double>(batch.rows) / static_cast<double>(batch.roots);
            work.passed_over = extent.pass_over;
            return batch;
        }
        if (!is_busy(*failure) || attempt >= settings::lock_attempts())
            pg::raise(*failure);
        if (extent.number > 1) // somebody holds a row of these families: find the others
            extent.number = (extent.number + 3) / 4;
        else
            ++extent.pass_over;
    }
}

} // namespace privacy_scan::retention
