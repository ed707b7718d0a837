// Archive files that are missing or damaged when rows of them are to be erased. Whoever says so may have them passed over:
// then it is kept, as hashes of keys, what was to go, so that a file that comes back says so when it is
// verified, is not restored, and loses these rows with the next erasure of the same root.
#pragma once

#include "archive_file/file_check.hpp"
#include "retention/hold.hpp"

namespace privacy_scan::erase
{

// Rows go of which this column has one of the values with these hashes.
struct LostKeys {
    std::string column; // unquoted
    std::string hashes; // text[], as text
};

// A file that was passed over.
struct Missed {
    archive_file::Entry entry;
    std::string file;
    std::vector<LostKeys> keys;
};

bool is_missing(pg::Spi &spi, const archive_file::Entry &entry);

// Why a file cannot be searched: it is MISSING, DIFFERENT or UNREADABLE. None where it can.
std::optional<archive_file::FileState> lack_of(pg::Spi &spi, const archive_file::Entry &entry);

// Refuses to go on without the file, where it may be passed over, and where it may not. Errors: 58P01, XX001.
[[noreturn]] void refuse_lack(const std::string &file, const archive_file::FileState &lack, const std::string &why);
[[noreturn]] void refuse_to_pass(const std::string &file, const archive_file::FileState &lack, const std::string &why,
                                 const std::string &hint);

// SHA-256 of each of the values of an array as text, as the ledger of erasures has them; text[], as text. As the owner.
std::string hashes_of(pg::Spi &spi, const std::string &array, const std::vector<pg::Param> &params = {});

void note_missed(pg::Spi &spi, std::int64_t erasure, const std::vector<Missed> &missed);

// A file that was passed over and is back.
struct Returned {
    Oid root;             // of the erasures
    std::int64_t erasure; // the first that passed it over
    archive_file::Entry entry;
    bool is_root;
    std::string condition; // over the alias t: which of its rows are to go; elsewhere a key may have been given anew
};

// Of the erasures of a root.
std::vector<Returned> returned_files(pg::Spi &spi, Oid root);

// It holds nothing any more that erasures of this root were to take; so many rows went of it.
void note_returned(pg::Spi &spi, const Returned &returned, const retention::RowTotal &total);

} // namespace privacy_scan::erase
