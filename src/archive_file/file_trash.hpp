// Files that go with the end of a transaction, as PostgreSQL does it with those of relations: when it
// commits, what it replaced; when it is rolled back, what it made. Where the server is killed between the
// commit and that, a row of privacy_scan.archive_file_trash still names the file, and the next call removes
// it. PREPARE TRANSACTION is refused then: 0A000.
#pragma once

#include "pg/spi.hpp"

namespace privacy_scan::archive_file
{

enum class Ending { commit, abort };

// Removes a file of the archive directory when the transaction, or the subtransaction that this is called in,
// ends like that. What cannot be removed stays without a word. Nothing else notes it.
void remove_file_with(Ending ending, const std::string &name);

// Removes a file with the commit, and notes it until then and until it is known to be gone.
void trash_file(pg::Spi &spi, const std::string &name);

// Removes what earlier transactions left, and forgets what is gone. A file that cannot be removed is a
// WARNING.
void empty_trash(pg::Spi &spi);

} // namespace privacy_scan::archive_file
