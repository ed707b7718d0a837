// The library's face: the magic block and _PG_init, which only calls the rooms in order.
#include "pg/postgres.hpp"

#include "pg/executor_run.hpp"
#include "settings/settings.hpp"
#include "worker/worker.hpp"

extern "C" {
PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void _PG_init(void)
{
    privacy_scan::settings::define();
    privacy_scan::worker::start();
    privacy_scan::pg::follow_executor();
}
}
