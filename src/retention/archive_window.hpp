// Windows: of a policy that makes files, the rows of batches go into a table of their own, which is closed
// one day and goes on as a file. Until then the archive finds its rows by inheritance.
#pragma once

#include "retention/archive_table.hpp"

namespace privacy_scan::retention
{

// Fills in the open window of a member's archive, made where there is none. It stays open until the end of
// the transaction. Errors: 42809 where the archive is partitioned, 55P03.
void open_window(pg::Spi &spi, const Member &member, ArchiveTable &archive);

// Closes the open windows of a root's archives that hold rows: the next batches open others. Waits for
// batches under way. Error: 55P03.
void close_windows(pg::Spi &spi, Oid root);

} // namespace privacy_scan::retention
