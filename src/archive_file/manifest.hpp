// The manifest of an archive file, JSON, and the names of both.
#pragma once

#include "archive_file/archive_entry.hpp"

namespace privacy_scan::archive_file
{

// The names of the files of one entry begin like this, whatever cluster and database share the directory.
std::string file_prefix(std::int64_t id);

// One that nobody else's file has: the prefix, and random digits. Without an ending.
std::string new_name(std::int64_t id);

struct Manifest {
    std::string name, file; // its own, and that of the rows
    FileFacts facts;        // of the rows' file
    retention::RowTotal total;
};

// Writes a new one, durably. The table is there.
void write_manifest(pg::Spi &spi, Oid relid, const Entry &entry, const Manifest &manifest, int directory);

// The same with what the ledger says of the entry now: the ranges of keys that an erasure has taken off. The
// ledger of files names the new one, the old one goes with the commit, or the new one where the transaction is
// rolled back. False where there is none to write anew: no file, or it is missing. Error: XX001 where it isn't JSON.
bool rewrite_manifest(pg::Spi &spi, const Entry &entry);

} // namespace privacy_scan::archive_file
