// Archive files in an erasure: each that may hold rows that go becomes a table of its archive for the length
// of the transaction, where the same statements find them; one that lost rows is written anew.
#pragma once

#include "archive_file/archive_entry.hpp"
#include "erase/erase_places.hpp"

namespace privacy_scan::erase
{

// The entries of a member that are files alone, of the ledger's range of keys where one is given (empty:
// all).
struct KeyRange {
    std::string type, least, greatest;
};
std::vector<archive_file::Entry> file_entries(pg::Spi &spi, const Places &places, std::size_t member,
                                              const KeyRange &range);

// Makes the file a table, and leaves it one where `holds_rows` (given its OID, as its owner) says so.
// Errors: 58P01 missing, XX001 damaged, and those of stage_table().
bool stage(pg::Spi &spi, const archive_file::Entry &entry, Oid owner,
           const std::function<bool(Oid)> &holds_rows);

// After rows of an archive's table were deleted, and the ledger knows: its file, where it has one, is written
// anew; a staged table is dropped. Returns the new file's name.
std::string follow_in_file(pg::Spi &spi, const archive_file::Entry &entry, Oid owner, bool is_staged);

} // namespace privacy_scan::erase
