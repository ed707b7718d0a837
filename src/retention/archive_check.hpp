// Is an archive still as the ledger says?
#pragma once

#include "pg/spi.hpp"
#include "retention/row_shape.hpp"

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
// owns, and notes what was found. Locks: ACCESS SHARE. Errors: 42704 no such row, 42501.
std::vector<ArchiveCheck> check_archives(pg::Spi &spi, std::optional<std::int64_t> id);

// What lies in a source of rows, as FROM names it. The caller acts as its owner.
RowTotal total_of(pg::Spi &spi, const std::string &from);

// What the ledger adds up to for an archive table, or for a partition that went whole.
RowTotal expected_rows(pg::Spi &spi, const std::string &target, const std::string &leaf);

} // namespace privacy_scan::retention
