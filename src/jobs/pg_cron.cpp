// See pg_cron.hpp. The choice is a row of ours in the database whose jobs they are, so that it is dumped with
// it; the entry in pg_cron's own table is in the database that pg_cron lives in.
#include "pg/postgres.hpp"

#include "jobs/pg_cron.hpp"

#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/ident.hpp"
#include "pg/owner.hpp"
#include "pg/standby.hpp"

extern "C" {
#include <commands/dbcommands.h>
#include <utils/guc.h>
}

using namespace privacy_scan;

namespace privacy_scan::jobs
{

namespace
{

bool has_pg_cron(pg::Spi &spi)
{
    return !spi.run("SELECT FROM pg_catalog.pg_extension WHERE extname = 'pg_cron'").empty();
}

std::string name_here()
{
    return pg::guarded([] { return static_cast<const char *>(get_database_name(MyDatabaseId)); });
}

std::string entry_name(const std::string &database)
{
    return "privacy_scan " + database;
}

} // namespace

std::string pg_cron_database()
{
    const char *name = pg::guarded([] { return GetConfigOption("cron.database_name", true, false); });
    return name ? name : "";
}

Runner runner_of_database(pg::Spi &spi)
{
    const bool is_chosen =
        !spi.run("SELECT FROM privacy_scan.job_runner WHERE database = pg_catalog.current_database()")
             .empty();
    return is_chosen && !pg_cron_database().empty() ? Runner::pg_cron : Runner::worker;
}

CronJob cron_job_here(pg::Spi &spi)
{
    if (!superuser() || !has_pg_cron(spi))
        return CronJob::unknown;
    const bool is_there = !spi.run("SELECT FROM cron.job WHERE jobname = $1 AND active",
                                   {pg::text_param(entry_name(name_here()))})
                               .empty();
    return is_there ? CronJob::scheduled : CronJob::missing;
}

namespace
{

// Only who owns all of it decides for all.
void require_extension_owner()
{
    pg::require_owner(pg::own_relation("job_runner"));
}

void require_pg_cron(pg::Spi &spi, const std::string &database)
{
    if (has_pg_cron(spi))
        return;
    const std::string home = pg_cron_database();
    if (home.empty())
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "pg_cron is not loaded in this server", {},
                 "Add pg_cron to shared_preload_libraries and restart.");
    if (home == name_here())
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "pg_cron is not installed in this database", {},
                 "Run CREATE EXTENSION pg_cron.");
    pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "pg_cron is not installed in this database",
             "It lives in the database \"" + home + "\".",
             "Call privacy_scan.use_pg_cron(database => '" + database + "') there.");
}

void require_database(const std::string &database)
{
    const char *name = database.c_str();
    pg::guarded([=] { (void)get_database_oid(name, false); });
}

std::int64_t schedule_entry(pg::Spi &spi, const std::string &schedule, const std::string &database)
{
    const std::vector<pg::Param> params{pg::text_param(entry_name(database)), pg::text_param(schedule),
                                        pg::text_param("CALL privacy_scan.run_due_jobs(runner => 'pg_cron')"),
                                        pg::text_param(database)};
    return spi.run("SELECT cron.schedule_in_database($1, $2, $3, $4)", params).int8(0, 1);
}

bool remove_entries(pg::Spi &spi, const std::string &database)
{
    return has_pg_cron(spi) && !spi.run("SELECT cron.unschedule(jobid) FROM cron.job WHERE jobname = $1",
                                        {pg::text_param(entry_name(database))})
                                    .empty();
}

std::string database_argument(const pg::Arguments &args, int n)
{
    const std::string database = args.text_or_empty(n);
    return database.empty() ? name_here() : database;
}

} // namespace

void choose_pg_cron(pg::Spi &spi)
{
    require_extension_owner();
    pg::CatalogScope scope;
    spi.run("INSERT INTO privacy_scan.job_runner AS r (database) VALUES (pg_catalog.current_database())"
            " ON CONFLICT (is_only) DO UPDATE SET database = excluded.database, since = excluded.since"
            " WHERE r.database <> excluded.database");
}

} // namespace privacy_scan::jobs

using namespace privacy_scan::jobs;

// privacy_scan.use_pg_cron(schedule text, database text) returns bigint: has pg_cron run the due jobs of a
// database (NULL: this one), from the database that it lives in; the worker then leaves them alone. The
// number of the entry in cron.job. VOLATILE. Errors: 22004, 25006, 3D000 no such database, 42501 not the
// extension's owner, 55000 no pg_cron here, and what pg_cron says of the schedule.
PS_WRITING_FUNCTION(ps_use_pg_cron)
{
    pg::Arguments args(fcinfo);
    const std::string schedule = args.text(0, "schedule");
    const std::string database = database_argument(args, 1);
    require_extension_owner();
    require_database(database);
    pg::CatalogPath path;
    pg::Spi spi;
    require_pg_cron(spi, database);
    const std::int64_t entry = schedule_entry(spi, schedule, database);
    if (database == name_here())
        choose_pg_cron(spi);
    return Int64GetDatum(entry);
}

// privacy_scan.use_worker(database text) returns boolean: takes the jobs of a database (NULL: this one) back
// from pg_cron. Where pg_cron lives elsewhere its entry is removed by a call there. False where nothing was
// to be changed. VOLATILE. Errors: 25006, 42501.
PS_WRITING_FUNCTION(ps_use_worker)
{
    pg::Arguments args(fcinfo);
    const std::string database = database_argument(args, 0);
    require_extension_owner();
    pg::CatalogPath path;
    pg::Spi spi;
    bool is_changed = remove_entries(spi, database);
    if (database == name_here()) {
        pg::CatalogScope scope;
        is_changed |= spi.run("DELETE FROM privacy_scan.job_runner").affected() > 0;
    }
    return BoolGetDatum(is_changed);
}
