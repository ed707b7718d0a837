// Where the rows of a family lie that a statement can reach: the live relations and the table archives.
#pragma once

#include "retention/family.hpp"
#include "retention/grace.hpp"
#include "retention/policy.hpp"

namespace privacy_scan::erase
{

// A relation that holds rows of a member.
struct Place {
    std::size_t member;
    Oid relid;
    std::string name;    // qualified, quoted
    std::string from;    // as the source of a statement
    std::string columns; // quoted, as a list
    bool is_live;
};

struct Places {
    retention::Family family;
    std::optional<retention::Policy> policy;
    std::vector<retention::Hold> holds;
    std::vector<retention::DetachedTable> joined; // children of their archives until they are parted again
    std::vector<Place> list; // members in the family's order, of each the live relation first

    std::vector<const Place *> of(std::size_t member) const;
    bool has_archives() const { return list.size() > family.members.size(); }
};

// Reads the family of a root that the caller owns and every archive that the ledger knows of it, those of
// former policies and names, too. Until the end of the transaction nothing moves between them: holds are
// locked as a batch locks them, the live relations in ROW EXCLUSIVE, the archives with what inherits from
// them in SHARE ROW EXCLUSIVE, and the live roots that meet the condition are locked FOR UPDATE. What stands
// alone since it was detached is then made part of its archive. In tries.
// Errors: 42501 not the owner of a member or an archive, 55P03, and those of read_family() and
// open_archive().
Places lock_places(pg::Spi &spi, Oid root, const std::string &condition);

} // namespace privacy_scan::erase
