// A split as steps, each a transaction; which is next stands in privacy_scan.split_states.
#pragma once

#include "split/split_source.hpp"
#include "split/split_state.hpp"

namespace privacy_scan::split
{

struct StepRow {
    std::string step, state, message;
    std::int64_t done, total;
    double ms;
    bool more;          // another step can follow
    bool is_waiting;    // for others: try again in a moment
    std::int64_t bytes; // read and written anew
};

// Begins the split. Errors 0A000 a reason why not, 22023 nothing to split, 55P03.
StepRow begin(pg::Spi &spi, const Source &source);

// Does the next step of it.
StepRow advance(pg::Spi &spi, Oid relid);

// Drops what was made. Error 55000 after the switch.
void cancel(pg::Spi &spi, Oid relid);

} // namespace privacy_scan::split
