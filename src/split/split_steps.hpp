// A split, or a merge, as steps, each a transaction; which is next stands in privacy_scan.split_states.
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

struct Wishes {
    bool in_background; // the set's job goes on with it
    bool drops_sources; // once all is in place
};

// Begins to make these cells, which tile the stretch, of its partitions. Errors: 0A000 a reason why not,
// 55P03.
StepRow begin(pg::Spi &spi, const Stretch &stretch, const std::vector<partition::Cell> &cells, Wishes wishes);

// Does the next step. Where a source is no partition of the set any more, what was made is dropped, and all
// is forgotten: state "ended".
StepRow advance(pg::Spi &spi, Oid relid);

// Leaves it to the set's job, or takes it back. That the sources are dropped can be wished later, also after
// the end, and stays wished.
void wish(pg::Spi &spi, Oid relid, Wishes wishes);

// How long to rest after it, so that privacy_scan.split_rate is kept: after indexes as long as they took at
// least, since each of them is written to disk at once, for which others' commits wait.
double rest_after(const StepRow &row);

// Between two transactions, holding nothing.
void rest(double ms);

// Drops what was made. Error 55000 after the switch.
void cancel(pg::Spi &spi, Oid relid);

} // namespace privacy_scan::split
