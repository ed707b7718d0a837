// pg_cron in the worker's place: which of the two runs the jobs of this database, and handing them over.
#pragma once

#include "pg/spi.hpp"

namespace privacy_scan::jobs
{

enum class Runner { worker, pg_cron };

// pg_cron where it was chosen, under the name that the database has now, and the server has it loaded: a
// database that was restored elsewhere is the worker's.
Runner runner_of_database(pg::Spi &spi);

// The database that pg_cron lives in; empty where the server has not loaded it.
std::string pg_cron_database();

// How pg_cron stands by its own tables, as far as the current user may see them.
enum class CronJob { unknown, scheduled, missing };
CronJob cron_job_here(pg::Spi &spi);

// Notes that pg_cron runs the jobs. The caller must own the extension's tables. Error: 42501.
void choose_pg_cron(pg::Spi &spi);

} // namespace privacy_scan::jobs
