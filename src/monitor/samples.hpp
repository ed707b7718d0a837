// The extension's own partition set of samples.
#pragma once

#include "monitor/measure.hpp"
#include "monitor/monitor.hpp"

namespace privacy_scan::monitor
{

// Makes the partitions that samples of the instant need, and the policy at the first run; removes those
// partitions all of whose samples are older than privacy_scan.monitor_sample_days, counted from the instant
// or the newest sample, whichever is earlier. Returns the number of partitions removed.
std::int64_t maintain_samples(pg::Spi &spi, std::int64_t at);

// One row each; a second one of the same instant is left out.
void add_relation_sample(pg::Spi &spi, Oid relid, const Measure &measure, std::int64_t at);
void add_database_sample(pg::Spi &spi, std::int64_t at);

} // namespace privacy_scan::monitor
