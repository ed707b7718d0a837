// Rows of a file into a table by the page, as COPY writes them, and read back from there. Red, but for
// the door.
#pragma once

#include "archive_file/row_text.hpp"

namespace privacy_scan::archive_file
{

struct TableLoad;

// Whether an INSERT of the file's columns would do no more than check constraints, write the row and its index
// entries: an ordinary table of PostgreSQL's own kind, no partition, without triggers (foreign keys are such, and
// constraints that can be deferred), rules and generated columns; and its other columns have no default. The current user is its
// owner, on whom OwnerScope lets no row-level security be forced, and may insert into it. The lock that the caller has keeps it so.
bool can_load(Relation table, const RowParser *parser);

// Lives in the current memory context. Everything ends with finish_load(), or with the subtransaction where
// an error flies.
TableLoad *open_load(Relation table);

// The row that the parser holds. Errors: those of constraints and indexes.
void load_row(TableLoad *load, const RowParser *parser);

// Writes what is left. Returns what was written, as it was read back from the table.
retention::RowTotal finish_load(TableLoad *load);

} // namespace privacy_scan::archive_file
