// A partition that went whole into the archive, as a file that is proven equal to it.
#pragma once

#include "archive_file/file_stream.hpp"

#include "pg/owner.hpp"
#include "pg/spi.hpp"
#include "retention/row_shape.hpp"

namespace privacy_scan::archive_file
{

// What a row of the ledger is about.
struct LedgerEntry {
    std::int64_t id;
    std::string relation, target, leaf, key_from, key_to;
};

// Errors: 42704 no such row, 42501 where the caller doesn't own the relation that the archive is of.
LedgerEntry require_entry(pg::Spi &spi, std::int64_t id);

// The settings under which values are written and read, beside those of the OwnerScope.
class TextScope
{
  public:
    TextScope();

  private:
    pg::GucScope settings_;
};

struct Exported {
    std::string file, manifest;
    FileFacts facts;
    retention::RowTotal total;
};

// Writes the file and its manifest, reads the file back, compares, notes it in the ledger of files. Lock:
// SHARE on the partition until the end of the transaction. A file that no committed row of the ledger names
// (after a crash, or where the transaction was rolled back) is removed by the next export of the same id.
// Errors: 0A000 rows that went by batches, 55000 rows that do not come back from text as they are, or that
// have a file already, 55P03, XX001 a table that is not as the ledger says, and those of the file.
Exported export_entry(pg::Spi &spi, const LedgerEntry &entry);

} // namespace privacy_scan::archive_file
