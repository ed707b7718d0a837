// How a background worker of ours begins.
#pragma once

#include "pg/postgres.hpp"

namespace privacy_scan::pg
{

// Red. Before it connects to a database. From here on SIGTERM cancels what runs, so that its end can be
// written down, and no setting of the database or the role has a say.
void begin_process();

} // namespace privacy_scan::pg
