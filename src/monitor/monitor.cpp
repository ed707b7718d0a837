// The room's SQL functions.
#include "pg/postgres.hpp"

#include "monitor/monitor.hpp"

#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/ident.hpp"
#include "pg/rowset.hpp"
#include "pg/standby.hpp"

extern "C" {
#include <catalog/pg_class_d.h>
#include <utils/lsyscache.h>
#include <utils/timestamp.h>
}

using namespace privacy_scan;
using namespace privacy_scan::monitor;

namespace
{

std::int64_t instant_argument(const pg::Arguments &args)
{
    const TimestampTz at = DatumGetTimestampTz(args.required(1, "at"));
    if (TIMESTAMP_NOT_FINITE(at))
        pg::fail(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, "argument \"at\" must be finite");
    return at;
}

Oid relation_argument(const pg::Arguments &args)
{
    if (args.is_null(0))
        return InvalidOid;
    const Oid relid = args.relation(0);
    const char kind = pg::guarded([=] { return get_rel_relkind(relid); });
    pg::require_owner(relid);
    if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
        pg::fail(ERRCODE_WRONG_OBJECT_TYPE, "relation \"" + pg::relation_name(relid) + "\" is not a table",
                 {}, "Statistics are collected of tables, partitioned or not.");
    return relid;
}

std::vector<pg::Cell> cells_of(const StatisticsRow &row)
{
    using pg::cell;
    auto number = [](const std::optional<std::int64_t> &value) {
        return value ? cell(*value) : pg::null_cell();
    };
    const bool has_size = row.action == "sampled";
    return {OidIsValid(row.relid) ? pg::cell_oid(row.relid) : pg::null_cell(),
            cell(row.action),
            number(row.rows),
            has_size ? cell(row.bytes) : pg::null_cell(),
            number(row.changes),
            cell(row.ms),
            cell(row.wait.waited_ms),
            cell(row.wait.blocked_by),
            cell(row.error.sqlstate),
            cell(row.error.message)};
}

// What was only sampled is no news.
void notify(const StatisticsRow &row)
{
    const std::string name = pg::qualified_name(row.relid);
    const char *about = name.c_str(), *what = row.action.c_str(), *code = row.error.sqlstate.c_str(),
               *message = row.error.message.c_str();
    const double ms = row.ms;
    pg::guarded([=] {
        if (*code)
            ereport(WARNING, (errmsg("%s: %s with SQLSTATE %s: %s", about, what, code, message)));
        else
            ereport(strcmp(what, "sampled") == 0 ? DEBUG1 : NOTICE,
                    (errmsg("%s: %s, %.1f ms", about, what, ms)));
    });
}

} // namespace

// privacy_scan.collect_statistics(relation regclass, at timestamptz): analyses partitioned parents whose
// leaves changed enough and takes samples as of the instant, of one relation or (NULL) all that was entrusted
// to the extension and that the caller owns, and of the database. A row per action, a failure being one too;
// on a standby one row that says so. VOLATILE. Errors: 22004, 22008 at; for one relation 42501, 42P01, 42809.
PS_WRITING_FUNCTION(ps_collect_statistics)
{
    pg::Arguments args(fcinfo);
    const std::int64_t at = instant_argument(args);
    pg::RowSink sink(fcinfo);
    const Oid relation = relation_argument(args);
    pg::Spi spi;
    for (StatisticsRun run(spi, relation, at); !run.is_done();)
        for (const StatisticsRow &row : run.step(spi))
            sink.put(cells_of(row));
    return Datum(0);
}

// CALL privacy_scan.run_statistics(relation regclass, at timestamptz): collect_statistics() with a
// transaction for each relation; a NOTICE for each that was analysed, a WARNING with SQLSTATE for a failure.
// Errors as collect_statistics(), and 2D000 inside a transaction block.
PS_WRITING_FUNCTION(ps_run_statistics)
{
    pg::Arguments args(fcinfo);
    const std::int64_t at = instant_argument(args);
    const Oid relation = relation_argument(args);
    pg::Spi spi(fcinfo);
    for (StatisticsRun run(spi, relation, at); !run.is_done(); spi.commit())
        for (const StatisticsRow &row : run.step(spi))
            notify(row);
    return Datum(0);
}
