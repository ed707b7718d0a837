// Every reason why a table cannot be adopted.
#pragma once

#include "adopt/candidate.hpp"

namespace privacy_scan::adopt
{

struct Refusal {
    std::string message, detail, hint;
};

// Looks at the catalog alone. What depends on the table in a way that isn't known here is a refusal, too: it
// would go on with the first partition alone and miss every new row without a word. Inside OwnerScope;
// caller: the role in whose name views and functions of other roles would be made anew.
std::vector<Refusal> find_refusals(pg::Spi &spi, const Candidate &candidate, Oid caller);

// Of ids: rows that the first partition could not hold, counted through an index that begins with the key,
// where there is one; validating finds them otherwise.
std::optional<Refusal> find_misfits(pg::Spi &spi, const Candidate &candidate, const Scheme &scheme,
                                    std::int64_t cutover);

// Why unique_id has no meaning for the table: nothing where its primary key is the key alone, which proves it.
std::optional<Refusal> find_nothing_unique(const Candidate &candidate);

// Throws the first, as the reason of what cannot be done: 0A000.
void refuse_if_any(const std::string &what, const std::vector<Refusal> &refusals);

} // namespace privacy_scan::adopt
