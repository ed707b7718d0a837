// What keeps a run that takes whole partitions from emptying a store by mistake.
#pragma once

#include "retention/leaf_choice.hpp"

namespace privacy_scan::retention
{

// What the caller said about a run.
struct Said {
    bool force = false;   // the clock is right, although nothing new has come for long
    bool confirm = false; // this policy is meant to remove that much
};

// Refuses a run that would take these windows, which may be none: with windows, one whose instant lies more
// than a partition's width (31 days, where the partitions' key is no time) past the newest key of the root,
// unless forced; the first of its policy, where more than half of the root's rows (at least 1000, without
// windows), or of a relation's bytes, would go, unless confirmed. As the owner, but for a look at the ledger.
// Error: 55000.
void check_guards(pg::Spi &spi, const Work &work, const std::vector<Window> &windows, std::int64_t at,
                  Said said);

// Refuses a run that nobody watches where the newest key of the root is more than
// privacy_scan.retention_quiet_days older than the instant, whichever way its rows would go. Error: 55000.
void check_quiet(pg::Spi &spi, const Work &work, std::int64_t at);

} // namespace privacy_scan::retention
