// A table of an archive as a file that is proven equal to it; and the table's end.
#pragma once

#include "archive_file/archive_entry.hpp"

namespace privacy_scan::archive_file
{

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

// Writes the file and its manifest, reads the file back, compares, notes it in the ledger of files. A window
// is closed first. Lock: SHARE on the table until the end of the transaction. A file that no committed row of
// the ledger names (after a crash, or where the transaction was rolled back, or replaced by a newer one) is
// removed by the next export or removal of the same entry. Errors: 0A000 rows that lie in the archive itself,
// 55000 rows that do not come back from text as they are, or that have a file already, 55P03, XX001 a table
// that is not as the ledger says, and those of the file.
Exported export_entry(pg::Spi &spi, const Entry &entry);

// Writes the file anew from the entry's table, which rows were erased from, as export_entry() does; the
// ledger of files then names the new one, not confirmed. With the transaction go the old file and whatever
// else lies about of the entry, where it commits, or the new one, where it doesn't. The caller keeps the
// table from others.
Exported rewrite_entry(pg::Spi &spi, const Entry &entry);

// What lies about of an entry, but for the file that the ledger names, goes when the transaction commits. The
// caller keeps the table from others.
void trash_leftovers(pg::Spi &spi, const Entry &entry);

// The file of an entry whose table has ended without it goes with the commit, and the ledger of files forgets it.
void trash_entry(pg::Spi &spi, const Entry &entry);

// Removes the table, once its rows are those of the ledger, those of the file, and the file on disk is as it
// was written. Locks: SHARE for the comparison, then ACCESS EXCLUSIVE in short tries. Errors: 55000 or XX001
// where something differs, 2BP01 where something depends on the table, 55P03, and those of the file.
void remove_table(pg::Spi &spi, const Entry &entry);

} // namespace privacy_scan::archive_file
