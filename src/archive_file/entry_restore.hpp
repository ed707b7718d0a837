// The way back of one row of the ledger of archives, wherever its rows lie.
#pragma once

#include "archive_file/archive_entry.hpp"
#include "retention/retention_plan.hpp"

namespace privacy_scan::archive_file
{

struct EntryRequest {
    std::int64_t id;                       // of the ledger
    Oid into = InvalidOid;                 // none: back into the live relations
    std::optional<Datum> ids;              // of roots, text[]
    std::optional<std::string> from, to;   // keys of roots, both included
    bool narrows() const { return ids || from || to; }
};

// Back into the live relations: the families of the roots whose keys lie in the range of the row of the
// ledger, and of those the ones that are asked for, as restore_families() does it. Into the archive: a file
// becomes its table again, a partition that was detached a part of it that stays. Into another table of the
// caller's: copies of the rows of that relation. Errors: 22023 a row of the ledger that archived nothing, or
// what an archive does not take; 42501; 42704; 55000 a range that is not known, a file that must be brought
// back before; those of restore_families() and of file_restore.hpp.
std::vector<retention::ActionRow> restore_entry(pg::Spi &spi, const EntryRequest &request);

} // namespace privacy_scan::archive_file
