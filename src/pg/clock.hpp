// The clock that jobs, schedules and guards go by. History and heartbeats go by the server's own.
#pragma once

#include "pg/postgres.hpp"

namespace privacy_scan::pg
{

// The server's time and privacy_scan.clock_offset, as a timestamptz.
std::int64_t now();

} // namespace privacy_scan::pg
