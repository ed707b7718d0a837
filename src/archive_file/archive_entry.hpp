// What the ledgers know of an archive's table and of its file.
#pragma once

#include "archive_file/file_stream.hpp"
#include "pg/owner.hpp"
#include "pg/spi.hpp"
#include "retention/row_shape.hpp"

namespace privacy_scan::archive_file
{

// A table of an archive: a partition that went whole, or a window of batches.
struct Entry {
    std::int64_t id; // the first of its rows in the ledger
    Oid root;
    std::string relation, target, leaf; // qualified, quoted; no leaf: rows that lie in the archive itself
};

// Of the row of the ledger with this id, or any other about the same table. Errors: 42704 no such row, 42501
// where the caller doesn't own the relation that the archive is of.
Entry require_entry(pg::Spi &spi, std::int64_t id);

// A row of the ledger of files.
struct ListedFile {
    std::string name, manifest, encoding;
    FileFacts facts;
    retention::RowTotal total{};
    bool is_confirmed, is_removed, is_recalled; // the file was copied; its table is gone; was brought back
    std::int64_t unerased = 0; // the erasure that passed it over when it was missing or damaged; 0: none
};

std::optional<ListedFile> find_file(pg::Spi &spi, const Entry &entry);
ListedFile require_file(pg::Spi &spi, const Entry &entry); // error 42704

// What was to be erased does not come back. Error: 55000.
void require_erased(const ListedFile &file);

// The table of that name, or InvalidOid.
Oid relation_named(pg::Spi &spi, const std::string &name);

} // namespace privacy_scan::archive_file
