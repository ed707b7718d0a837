// How many rows an archive holds, with which digest: by the ledger, and as it lies there.
#pragma once

#include "pg/spi.hpp"
#include "retention/leaf_scan.hpp"

namespace privacy_scan::retention
{

// What the ledger adds up to for an archive table, or for one of its tables.
struct LedgerTotal {
    std::int64_t entries = 0;
    RowTotal total{};                     // of the entries that are counted
    std::optional<std::int64_t> unproven; // the last entry that came, if it is of a partition that was not counted yet
    RowTotal after{};                     // what was taken of it by later entries, less than nothing
    bool is_lost = false;                 // one before it of the same name was never counted: nobody knows what it was
};

LedgerTotal read_ledger(pg::Spi &spi, const std::string &target, const std::string &leaf);

// What lies in a source of rows, as FROM names it. The caller acts as its owner.
RowTotal total_of(pg::Spi &spi, const std::string &from);

// Reads a table alone, as of now, without a statement. The caller holds a lock on it.
RowTotal read_table(Oid relid, const ScanFor &what);
constexpr ScanFor whole_rows{true, nullptr, 0};

// The table of an archive, or the archive itself where there is no leaf; InvalidOid where it is gone.
Oid archive_relation(pg::Spi &spi, const std::string &target, const std::string &leaf);

// What lies in it, read as its owner, whom the caller must be. Locks: ACCESS SHARE. Errors: 42501, 55P03.
RowTotal read_archive(pg::Spi &spi, Oid relid);

// Enters in the ledger what the unproven entry must have been: what was found, together with what was taken since. What
// entries before it add up to is none of its own. False, and nothing done, where the ledger has got other entries since it was read as `before`: what was found
// may not be what it is about.
bool prove(pg::Spi &spi, const std::string &target, const std::string &leaf, const LedgerTotal &before, const RowTotal &found);

// What the ledger adds up to; what nobody has counted is proven first. Errors of read_archive(); 42P01 where that is
// gone, 55P03 where it is changing all the time, XX001 where another of its name was lost uncounted.
RowTotal expected_rows(pg::Spi &spi, const std::string &target, const std::string &leaf);

} // namespace privacy_scan::retention
