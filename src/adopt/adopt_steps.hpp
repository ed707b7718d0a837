// The steps of an adoption as data, and doing the next of them. What is done is read from the catalog each
// time, so that it does not matter where somebody stopped, or was stopped.
#pragma once

#include "adopt/adoption.hpp"
#include "adopt/dependents.hpp"

namespace privacy_scan::adopt
{

enum class Action { build_index, limit_key, validate_limit, switch_over, validate_foreign_key };
const char *to_string(Action action);

struct Step {
    Action action;
    bool is_done;
    bool is_top_level; // must be a statement by itself, outside a transaction block
    std::string sql;
    std::string lock;
    double seconds;     // expected
    std::string effect; // on the application
};

std::vector<Step> steps_of(const Candidate &candidate, const Scheme &scheme, const Progress &progress,
                           std::int64_t cutover, const std::vector<Validation> &validations);

// A step as it is reported.
struct StepRow {
    int number;
    std::string action, state, sql, message;
    std::optional<double> ms;
};

// Does the next step of the adoption in the caller's transaction, unless it is one for the caller, and
// returns all of them as they are then. more: another step can follow in the next transaction.
std::vector<StepRow> advance(pg::Spi &spi, Oid relid, bool &more);

// Drops what was prepared. Error 55000 after the switch.
std::vector<StepRow> cancel(pg::Spi &spi, Oid relid);

// The next step's name, or what is wrong with the table, how many are done, of how many.
struct Standing {
    std::string step;
    int done, total;
};
Standing standing_of(pg::Spi &spi, Oid relid);

} // namespace privacy_scan::adopt
