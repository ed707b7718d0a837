// A family: a root relation and all that refers to it through foreign keys, at any depth.
#pragma once

#include "pg/owner.hpp"
#include "pg/spi.hpp"

extern "C" {
#include <storage/lockdefs.h>
}

namespace privacy_scan::retention
{

// A foreign key from a member to one of its parents in the family.
struct Link {
    std::string constraint;
    std::size_t parent; // index into Family::members
    struct Column {
        std::string child, parent; // unquoted names
        std::string equals;        // the key's own operator, as OPERATOR(schema.=), child on the left
    };
    std::vector<Column> columns;
};

struct Member {
    pg::OwnedTable table;
    std::string name;        // qualified, quoted
    std::string from;        // the name as the source of a statement: ONLY where it has no partitions
    std::vector<Link> links; // none for the root
    bool has_children = false;
    std::vector<std::string> leaves; // qualified, quoted; where rows may be looked for leaf by leaf
    bool in_bytes = false;           // their column has the collation "C", not that of its type
    bool has_spared = false;         // relations refer to it whose reference PostgreSQL clears
};

// A relation whose references are cleared by PostgreSQL (ON DELETE SET NULL, SET DEFAULT): its rows stay.
struct Spared {
    Oid relid;
    Oid parent;
    std::string constraint;
};

struct Family {
    std::vector<Member> members; // the root first, every member after all of its parents
    std::vector<Spared> spared;
    const Member &root() const { return members.front(); }
};

// Reads the family from pg_constraint. The caller must own every member, and all must have the root's owner.
// With a lockmode (NoLock: none) each member is locked before the keys to it are read; from ROW EXCLUSIVE on
// no foreign key can be added any more. Errors: 42501 not the owner (naming it), 0A000 foreign keys in a
// circle, from a relation to itself or to an array (naming the constraint), 42809 not an ordinary or
// partitioned table, a partition, a temporary or an extension's table; 55P03 lock_not_available.
Family read_family(pg::Spi &spi, Oid root, LOCKMODE lockmode = NoLock);

// True where relations, names, keys and columns are the same; partitions may differ.
bool same_family(const Family &a, const Family &b);

} // namespace privacy_scan::retention
