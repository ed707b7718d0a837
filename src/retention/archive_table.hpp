// The archive as a table: a plain relation with the same columns, in a schema of its own.
#pragma once

#include "retention/family.hpp"

namespace privacy_scan::retention
{

struct ArchiveTable {
    Oid relid;
    std::string name;    // qualified, quoted
    std::string columns; // of the source, quoted, as a list: "id", "scanId", ...

    // Of a policy that makes files: the table that takes the rows of batches (archive_window.hpp).
    Oid window = InvalidOid;
    std::string window_name; // qualified, quoted

    Oid written() const { return OidIsValid(window) ? window : relid; }
    const std::string &written_name() const { return OidIsValid(window) ? window_name : name; }
};

// Where a member's rows go: <name>_archive in the schema, <schema>_archive where none is given. Nothing is
// made.
std::string archive_name(const Member &member, const std::string &schema);

// The same as an OID; InvalidOid where it doesn't exist.
Oid archive_oid(const Member &member, const std::string &schema);

// The archive of a member, made on first use (the schema with the caller's rights, the table as the owner,
// with no rights for anybody else), and given the columns that the source has got since. Columns are matched
// by name. Errors: 42501 where the schema cannot be made, 42809 and 42501 where another kind of relation, or
// another owner's, stands under the name, 42804 where a column has changed its type.
ArchiveTable open_archive(pg::Spi &spi, const Member &member, const std::string &schema);

// Gives a table that was just made for rows of another the row-level security of that, so that nobody finds there what is hidden
// from him here, whatever rights he is given on it. Where a policy can't be made there it has none, which hides all, and a WARNING
// says so. As the owner of both.
void carry_row_security(pg::Spi &spi, Oid from, Oid to);

// Gives a table the columns that its source has got since, and lists the source's columns. As the owner of both.
// Error: 42804 where a column has changed its type.
struct NamedTable {
    Oid relid;
    std::string name; // qualified, quoted
};
std::string follow_columns(pg::Spi &spi, const NamedTable &source, const NamedTable &table);

} // namespace privacy_scan::retention
