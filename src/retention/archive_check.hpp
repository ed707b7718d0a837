// Is an archive still as the ledger says?
#pragma once

#include "pg/spi.hpp"

namespace privacy_scan::retention
{

// What one archive table, or one partition that went whole, should hold, and what it does.
struct ArchiveCheck {
    std::string archive, leaf; // qualified, quoted; no leaf: the archive's own rows
    std::int64_t rows = 0;     // by the ledger
    std::optional<std::int64_t> found_rows;
    std::string state; // ok, DIFFERENT, MISSING, UNREADABLE, changing
    std::string detail;
};

// Reads the archive that a row of the ledger is about, or (none) all of those whose relations the caller
// owns, and notes what was found. What nobody has counted yet is proven by that (archive_total.hpp).
// Locks: ACCESS SHARE. Errors: 42704 no such row, 42501.
std::vector<ArchiveCheck> check_archives(pg::Spi &spi, std::optional<std::int64_t> id);

} // namespace privacy_scan::retention
