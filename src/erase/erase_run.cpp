// See erase_run.hpp.
#include "pg/postgres.hpp"

#include "erase/erase_run.hpp"

#include "archive_file/file_trash.hpp"
#include "erase/erase_files.hpp"
#include "erase/erase_work.hpp"
#include "pg/failpoint.hpp"
#include "pg/subxact.hpp"
#include "retention/grace.hpp"

namespace privacy_scan::erase
{

namespace
{

Erasure nothing_found(const Places &places)
{
    Erasure erasure;
    for (std::size_t i = places.family.members.size(); i-- > 0;)
        erasure.parts.push_back({"live", places.family.members[i].table.relid, {}, {}, 0, 0});
    return erasure;
}

Erasure erase_all(pg::Spi &spi, Oid root, const Request &request)
{
    EraseWork run(spi, root, request);
    for (const Returned &file : returned_files(spi, root))
        run.clean(file);
    PS_FAILPOINT("erase.locked");
    run.find();
    PS_FAILPOINT("erase.found");
    if (run.has_work())
        run.remove();
    PS_FAILPOINT("erase.removed");
    if (!request.is_trial) {
        refresh_files(spi, run.places());
        run.renew_manifests();
    }
    PS_FAILPOINT("erase.refreshed");
    retention::part_detached(spi, run.places().joined);
    if (!run.has_work() && run.parts().empty())
        return nothing_found(run.places());
    forget_plans(spi, run.places().family);
    warn_of_copies(spi, run.places().family);
    Erasure erasure{0, run.parts()};
    if (request.is_trial || !run.has_work())
        return erasure;
    erasure.id = note_erasure(spi, root, request.reason, run.roots(), run.hashes(), erasure.parts);
    note_missed(spi, erasure.id, run.missed());
    PS_FAILPOINT("erase.noted");
    return erasure;
}

} // namespace

Erasure erase_families(pg::Spi &spi, Oid root, const Request &request)
{
    pg::require_read_committed("erase()");
    if (!request.is_trial) {
        archive_file::empty_trash(spi);
        return erase_all(spi, root, request);
    }
    Erasure erasure;
    pg::Subtransaction trial;
    erasure = erase_all(spi, root, request);
    trial.rollback();
    return erasure;
}

} // namespace privacy_scan::erase
