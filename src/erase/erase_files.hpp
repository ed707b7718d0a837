// Archive files in an erasure: each that may hold rows that go becomes a table of its archive for the length
// of the transaction, where the same statements find them; one that lost rows is written anew.
#pragma once

#include "archive_file/file_search.hpp"
#include "erase/erase_places.hpp"

namespace privacy_scan::erase
{

// The entries of a member that are files alone, of the ledger's range of keys where one is given (empty:
// all).
std::vector<archive_file::Entry> file_entries(pg::Spi &spi, const Places &places, std::size_t member,
                                              const retention::KeyRange &range);

// Whether equal values of a relation's column are equal as text.
bool is_told_by_text(pg::Spi &spi, Oid relid, const std::string &column);

// Whether a member's rows refer to others by single columns of which equal values are equal as text.
bool has_keys_as_text(pg::Spi &spi, const Places &places, std::size_t member);

// The columns by which a member's rows refer to what goes, with the values, where equal values are equal as
// text: then a file may be looked through as text first. Otherwise none. `keys`: the values of a column of a
// member, an array.
using KeyParam = std::function<const pg::Param &(std::size_t member, const std::string &column)>;
std::vector<archive_file::WantedColumn> wanted_columns(pg::Spi &spi, const Places &places, std::size_t member,
                                                       const KeyParam &keys);

// Whether a file must be staged to know. It is intact. Errors: 58P01 missing, XX001 damaged.
bool may_hold(pg::Spi &spi, const archive_file::Entry &entry,
              const std::vector<archive_file::WantedColumn> &wanted);

// Makes the file a table, and leaves it one where `holds_rows` (given its OID, as its owner) says so.
// Errors: 58P01 missing, XX001 damaged, and those of stage_table().
bool stage(pg::Spi &spi, const archive_file::Entry &entry, Oid owner,
           const std::function<bool(Oid)> &holds_rows);

// After rows of an archive's table were deleted, and the ledger knows: its file, where it has one, is written
// anew. Returns the new file's name.
std::string follow_in_file(pg::Spi &spi, const archive_file::Entry &entry);

// Of every archive of the family: a file that is out of date, since families left its table for the live
// relations, is written anew, and what a crash left is removed with the commit. Either may hold what was
// erased.
void refresh_files(pg::Spi &spi, const Places &places);

} // namespace privacy_scan::erase
