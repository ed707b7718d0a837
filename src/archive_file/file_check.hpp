// Are the archive files still as the ledger says?
#pragma once

#include "archive_file/archive_entry.hpp"

namespace privacy_scan::archive_file
{

// What was found of a file.
struct FileCheck {
    std::string archive, leaf, file;
    std::int64_t rows = 0; // by the ledger
    std::string state;     // ok, DIFFERENT, MISSING, UNREADABLE, UNERASED
    std::string detail;
};

// Reads the file of the archive that a row of the ledger is about, or (none) all of those whose relations the
// caller owns, compares each with its SHA-256, and notes what was found.
std::vector<FileCheck> check_files(pg::Spi &spi, std::optional<std::int64_t> id);

// What is found of the bytes: ok, DIFFERENT, MISSING or UNREADABLE, and where.
struct FileState {
    std::string state, detail;
};
FileState state_of(const ListedFile &file);

void require_encoding(const ListedFile &file); // error 0A000, another than the database's

// Errors: 58P01 missing, XX001 damaged, 0A000 another encoding than the database's.
void require_intact(const ListedFile &file);

// Of bytes that were read, whose file was found intact before: a name is no file. Error: XX001.
void require_same_file(const ListedFile &file, const FileFacts &read);

} // namespace privacy_scan::archive_file
