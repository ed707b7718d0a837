// Restore drills: an archive is brought back into a scratch relation, compared with the ledger, and the
// scratch relation dropped, all in one transaction, so that no crash leaves it behind. It is unlogged: what a
// killed server has written of it, the next start empties.
#pragma once

#include "archive_file/archive_entry.hpp"

namespace privacy_scan::archive_file
{

struct Drill {
    Entry entry;
    std::string place;     // where the rows were taken from: file, where there is an up-to-date one, or table
    std::int64_t rows = 0; // by the ledger
    std::optional<std::int64_t> found_rows; // that came back
    std::string state; // ok, DIFFERENT, MISSING, UNREADABLE, changing, as verify_archive() says
    std::string detail;
    double ms = 0;

    bool has_failed() const { return state != "ok" && state != "changing"; }
};

// The archives whose turn it is, by their ids in the ledger: those whose last drill failed, then the one that
// had none for longest. Only those of at most privacy_scan.archive_drill_size.
std::vector<std::int64_t> next_drills(pg::Spi &spi);

// Does it, with the rights of the archive's owner, in the archive's schema, and enters the outcome in
// privacy_scan.archive_drills. What goes wrong is the outcome, no error. Lock: ACCESS SHARE on the table.
// Errors: 42704, 42501.
Drill run_drill(pg::Spi &spi, std::int64_t id);

} // namespace privacy_scan::archive_file
