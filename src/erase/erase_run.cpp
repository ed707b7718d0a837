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

// Without the roots among them: those are erased as any other, one after the other.
void clean_returned(pg::Spi &spi, EraseWork &run, Oid root)
{
    for (const Returned &file : returned_files(spi, root))
        if (!file.is_root)
            run.clean(file);
}

Erasure erase_once(pg::Spi &spi, Oid root, const Request &request)
{
    EraseWork run(spi, root, request);
    clean_returned(spi, run, root);
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

// Roots that earlier erasures passed over with their files, and that are back, go now.
std::vector<Erased> erase_returned_roots(pg::Spi &spi, Oid root, const Request &request)
{
    std::vector<Erased> parts;
    for (const Returned &file : returned_files(spi, root)) {
        if (!file.is_root)
            continue;
        const Request again{file.condition, {}, "a file that erasure " + std::to_string(file.erasure) + " passed over",
                            request.is_trial, request.skips_missing, file.entry.leaf};
        for (const Erased &part : erase_once(spi, root, again).parts)
            if (part.rows > 0 || part.place == "missing file")
                parts.push_back(part);
        note_returned(spi, file, {});
    }
    return parts;
}

Erasure erase_all(pg::Spi &spi, Oid root, const Request &request)
{
    const std::vector<Erased> before = erase_returned_roots(spi, root, request);
    Erasure erasure = erase_once(spi, root, request);
    erasure.parts.insert(erasure.parts.begin(), before.begin(), before.end());
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
