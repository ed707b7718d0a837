// The rows of an archive file come back.
#pragma once

#include "archive_file/archive_entry.hpp"

namespace privacy_scan::archive_file
{

// Into a table of the caller's, columns by name; it may have others. The file is compared with its SHA-256
// before, the rows with their digest after. Returns their number. Errors: 0A000 another encoding, 42501,
// 42703 a column is missing, 42809 no table, 55000 rows that the table did not take as they were, or an
// archive, 55P03, 58P01 file missing, XX001 file damaged, and those of the table.
std::int64_t restore_into(pg::Spi &spi, const Entry &entry, Oid relid, const std::string &condition);

// The same with a condition over the alias t; empty: all.
std::int64_t restore_compiled(pg::Spi &spi, const Entry &entry, Oid relid, const std::string &condition);

// A table that the archive may be copied into. Errors: 42501, 42809, 55000 an archive, or the live relation that it is of.
pg::OwnedTable require_target(pg::Spi &spi, const Entry &entry, Oid relid);

// As the archive's table that it was, which stays until the file is confirmed again. Errors: also 55000 where
// the table is there, 42P07 where another has its name.
std::int64_t restore_table(pg::Spi &spi, const Entry &entry);

// Into a table of which the caller is the owner, and which he has locked; the file is taken as it is, the
// digest of what was inserted compared. Returns their number. Errors: 55000 as above, and those of the file.
std::int64_t fill_from_file(pg::Spi &spi, Oid relid, const ListedFile &file);

// The same for this transaction alone, which drops the table before its end: it isn't logged, and nobody else
// sees it. The ledger isn't touched.
Oid stage_table(pg::Spi &spi, const Entry &entry, const ListedFile &file);

} // namespace privacy_scan::archive_file
