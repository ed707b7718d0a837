// health(): what is active and what to do next, for the operator who sees this database for the first time.
#include "pg/entry.hpp"
#include "pg/rowset.hpp"
#include "pg/spi.hpp"

extern "C" {
#include <access/xlog.h>
#include <storage/ipc.h>
}

namespace privacy_scan::schema
{

namespace
{

struct Finding {
    std::string component, status, detail, next_step;
};

Finding versions(pg::Spi &spi)
{
    pg::Rows rows = spi.run("SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'privacy_scan'");
    const std::string sql = rows.empty() ? "none" : rows.text(0, 1);
    const bool same = sql == PS_VERSION;
    return {"version", same ? "ok" : "mismatch", "library " PS_VERSION ", SQL " + sql,
            same ? "" : "ALTER EXTENSION privacy_scan UPDATE; then reconnect"};
}

Finding server()
{
    const bool standby = pg::guarded([] { return RecoveryInProgress(); });
    if (standby)
        return {"server", "standby", "PostgreSQL " PG_VERSION ", read only",
                "call what writes on the primary"};
    return {"server", "ok", "PostgreSQL " PG_VERSION ", primary", ""};
}

} // namespace

} // namespace privacy_scan::schema

using namespace privacy_scan;
using pg::cell;

// privacy_scan.health(). STABLE. Reads only; needs no shared_preload_libraries and no privilege.
PS_FUNCTION(ps_health)
{
    pg::RowSink sink(fcinfo);
    pg::Spi spi;
    for (const schema::Finding &finding : {schema::versions(spi), schema::server()})
        sink.put(
            {cell(finding.component), cell(finding.status), cell(finding.detail), cell(finding.next_step)});
    return Datum(0);
}
