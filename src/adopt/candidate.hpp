// A plain table that is to become a partition set: what of it matters, read from the catalog.
#pragma once

#include "adopt/adopt_plan.hpp"
#include "partition/partition_policy.hpp"

namespace privacy_scan::adopt
{

struct Candidate {
    pg::OwnedTable table;
    std::string name, schema, relname; // qualified and quoted; as they are
    AttrNumber key_number = 0;
    std::string key, key_reason; // unquoted; a sentence
    Oid key_type = InvalidOid, key_collation = InvalidOid;
    std::string key_kind;                 // of ids that carry time, empty where the key is a time
    bool key_sorts_by_time = true;        // in its collation
    std::vector<std::string> primary_key; // its columns; none: the table has no primary key
    std::string primary_name;             // of the constraint
    std::string primary_tail;             // DEFERRABLE ..., of the constraint
    bool primary_has_key = false;
    double heap_bytes = 0;

    bool needs_index() const { return !primary_key.empty() && !primary_has_key; }
};

// Which column is wanted as the key; of ids, which kind they are. Empty: to be recommended, to be detected.
struct KeyWish {
    std::string column, kind;
};

// Reads the table. Takes no lock; the caller has checked the owner.
// Errors: 42809 not an ordinary table, 42703 no such column, 42P16 no column, or not this one, can be the
// key, 22023 no such kind of ids.
Candidate read_candidate(pg::Spi &spi, const pg::OwnedTable &table, const KeyWish &wish);

// The policy, with its axis and grid, of a table that has no partitions yet.
struct Scheme {
    partition::Policy policy;
    std::unique_ptr<partition::Zone> zone;
    std::unique_ptr<partition::KeyAxis> axis;
    std::unique_ptr<partition::Grid> grid;
};
Scheme make_scheme(const Candidate &candidate, const partition::Policy &policy);

// What adoption leaves on the table until the switch.
constexpr const char *check_name = "privacy_scan_adoption";
constexpr const char *index_prefix = "privacy_scan_adoption_";

// How far the preparation is, by the catalog.
struct Progress {
    std::string index; // unquoted name of ours, empty where there is none
    bool index_valid = false;
    bool check_exists = false, check_valid = false;
};
Progress read_progress(pg::Spi &spi, const Candidate &candidate, const std::string &cutover);

} // namespace privacy_scan::adopt
