// The worker: a launcher that is connected to no database, and one short-lived process for each database that
// it visits, which runs the jobs that are due there and ends.
#pragma once

#include "pg/postgres.hpp"

namespace privacy_scan::worker
{

// Red. From _PG_init: where the library is being preloaded, asks for shared memory and a launcher.
void start();

// Red. Starts the process that visits the database of this entry in shared memory; false where no worker slot
// is free. It ends by itself.
bool start_visit(int entry);

// What health() says of it: status, detail, next step.
struct Condition {
    std::string status, detail, next_step;
};
Condition condition();

} // namespace privacy_scan::worker
