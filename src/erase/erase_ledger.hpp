// What was erased, in the ledgers: never the content.
#pragma once

#include "archive_file/archive_entry.hpp"
#include "erase/erase_run.hpp"
#include "retention/family.hpp"

namespace privacy_scan::erase
{

// Takes rows off what the ledger of archives says of an archive's table. Returns the entry.
archive_file::Entry note_in_archives(pg::Spi &spi, const retention::Member &root,
                                     const retention::Member &member, const std::string &target,
                                     const std::string &leaf, const retention::RowTotal &total);

// A table of an archive, as the ledger names it.
struct LedgerPart {
    std::string target, leaf;
};
archive_file::Entry entry_of(pg::Spi &spi, const LedgerPart &part);

// Where the ledger of archives gives one of these keys (text[]), ids of a kind, as the end of a range, it
// then gives the bound of their time instead: the range is a little wider, and names nobody who was erased.
// Returns what it was of.
std::vector<LedgerPart> blur_keys(pg::Spi &spi, Oid root, const std::string &kind, const pg::Param &keys);

// The columns of the root by whose ids former policies kept ranges in the ledger; `key`: that of the policy in
// force, in words. Unquoted.
std::vector<std::string> former_keys(pg::Spi &spi, Oid root, const std::string &key);

// Where the ledger gives one of these values (text[]) of such a column as the end of a range, it then gives no
// range. Returns what it was of.
std::vector<LedgerPart> forget_ranges(pg::Spi &spi, Oid root, const std::string &column,
                                      const pg::Param &values);

// Enters an erasure, in the name of the caller. hashes: of the roots' ids, text[]. Returns its number.
std::int64_t note_erasure(pg::Spi &spi, Oid root, const std::string &reason, std::int64_t roots,
                          const pg::Param &hashes, const std::vector<Erased> &parts);

// Plans that name keys of what may have gone: those that were not begun go, the others lose the keys.
void forget_plans(pg::Spi &spi, const retention::Family &family);

// A WARNING that names the tables that splits and merges of members left, or are filling: copies of rows.
void warn_of_copies(pg::Spi &spi, const retention::Family &family);

} // namespace privacy_scan::erase
