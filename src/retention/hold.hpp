// Legal holds: roots that no retention takes, with all that refers to them, whatever a policy says. A hold is
// a condition on the root's row, as a policy's is; held are the rows that meet it when a batch looks.
#pragma once

#include "pg/owner.hpp"
#include "pg/spi.hpp"

namespace privacy_scan::retention
{

struct Hold {
    std::int64_t id;
    std::string condition; // SQL over the alias t
    std::string reason;
};

bool operator==(const Hold &a, const Hold &b);

// The condition that names roots by their ids, an array of text: over the root's primary key, of which the
// partition key is left out. Errors: 22004 and 22023 for ids that are NULL or none, 0A000 where that isn't
// one column.
std::string condition_of_ids(pg::Spi &spi, const pg::OwnedTable &root, Datum ids);

// The same ids as an array of that column's type, as SQL, and the column's name.
struct RootIds {
    std::string column, array; // unquoted; as SQL
};
RootIds ids_of_roots(pg::Spi &spi, const pg::OwnedTable &root, Datum ids);

// The table of holds: whoever removes rows locks it in ROW SHARE, whoever places a hold in EXCLUSIVE.
Oid hold_table();

// Places a hold; once that is committed no batch takes what it holds. Waits for the batches under way, in
// tries. condition: compiled. until: an instant, or none. Returns its id. Error: 55P03.
std::int64_t place_hold(pg::Spi &spi, const pg::OwnedTable &root, const std::string &condition,
                        const std::string &reason, std::optional<std::int64_t> until);

// Ends a hold of a root that the caller owns; false where it has been ended. Errors: 42704, 42501, 55P03 a
// hold is being placed.
bool end_hold(pg::Spi &spi, std::int64_t id);

// The holds of a root that are in force now, by id. Error: 55000 where one is on another relation that
// foreign keys tie to the root.
std::vector<Hold> holds_in_force(pg::Spi &spi, Oid root);

// The same for who is about to remove rows: none is added until his transaction ends. Error also: 55P03.
std::vector<Hold> lock_holds(pg::Spi &spi, Oid root);

} // namespace privacy_scan::retention
