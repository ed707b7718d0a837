// What names a table by its OID, and has to name another table of the same name instead: as statements that
// are read while the one has the name and run while the other has it.
#pragma once

#include "pg/spi.hpp"

namespace privacy_scan::adopt
{

struct RoleStatement {
    Oid role; // who owns what is made anew, and runs the statement
    std::string sql;
};

struct Dependents {
    std::vector<RoleStatement> before; // while the old table still has the name
    std::vector<RoleStatement> after;  // once the new one has it
};

// Triggers, owned sequences, comments, views, SQL-standard function bodies, publications.
// Inside OwnerScope: names come out qualified.
Dependents read_dependents(pg::Spi &spi, Oid relid, Oid owner);

// Runs them, each as its role.
void run_as_roles(pg::Spi &spi, const std::vector<RoleStatement> &statements, Oid owner);

// Foreign keys of other tables that refer to this one: dropped while the one has the name, made anew, not
// validated, once the other has it. PostgreSQL's triggers enforce them from then on, and enforced the old
// ones until then, with the locks below held over both, so that no row slips through.
struct ReferencingKeys {
    std::vector<RoleStatement> drop, add;
};
std::vector<Oid> referencing_tables(pg::Spi &spi, Oid relid); // by OID
// To be read under ACCESS EXCLUSIVE on those. Error 55006 where others refer to it by now.
ReferencingKeys read_referencing(pg::Spi &spi, Oid relid, const std::vector<Oid> &locked);

// How each of them is proven, online, in a transaction of its own.
struct Validation {
    Oid table;
    double heap_bytes; // of that
    RoleStatement statement;
    bool is_done;
};
std::vector<Validation> read_validations(pg::Spi &spi, Oid relid);
void validate_key(pg::Spi &spi, const Validation &validation);

// ACCESS EXCLUSIVE on each in turn, to be asked for in tries; since when the first is had.
std::int64_t lock_strongly(const std::vector<Oid> &relids);

// Changes with what of the above can change beside a lock that keeps DDL on the table out: views, functions,
// privileges.
std::string fingerprint(pg::Spi &spi, Oid relid);

// An identity column: its sequence goes with the table, so that another of the same name takes over where it
// stood. To be read under ACCESS EXCLUSIVE on the table, which locks the sequence, too.
struct Identity {
    std::string sequence; // qualified, quoted
    std::int64_t last_value;
    bool is_called;
    std::vector<std::string> drop;   // on the old table
    std::vector<std::string> create; // on the new one
};
std::vector<Identity> read_identities(pg::Spi &spi, Oid relid);
void drop_identities(pg::Spi &spi, const std::vector<Identity> &identities);
void create_identities(pg::Spi &spi, const std::vector<Identity> &identities);

} // namespace privacy_scan::adopt
