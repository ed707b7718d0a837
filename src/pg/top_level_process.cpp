// See top_level.hpp: the process that runs the statement. It connects as the bootstrap superuser, since an
// owner need not be allowed to log in, and takes the owner's identity as SET SESSION AUTHORIZATION does. Not
// the security context that OwnerScope sets: these statements commit on their way, and a context must not
// outlive a transaction. They set it themselves around whatever they run of the owner's code.
#include "pg/postgres.hpp"

#include "pg/compat.hpp"
#include "pg/guard.hpp"
#include "pg/process.hpp"
#include "pg/top_level_exchange.hpp"

extern "C" {
#include <access/xact.h>
#include <libpq/pqsignal.h>
#include <mb/pg_wchar.h>
#include <nodes/makefuncs.h>
#include <pgstat.h>
#include <storage/ipc.h>
#include <storage/latch.h>
#include <tcop/pquery.h>
#include <tcop/tcopprot.h>
#include <utils/memutils.h>
#include <utils/portal.h>
#include <utils/snapmgr.h>
#include <utils/syscache.h>

PGDLLEXPORT void ps_top_level_main(Datum argument);
}

namespace privacy_scan::pg
{

namespace
{

// Red.
Exchange *attach(const Invitation &invitation)
{
    StartTransactionCommand();
    dsm_segment *segment = dsm_attach(invitation.segment);
    if (!segment)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("the session that wanted a statement to be run is gone")));
    dsm_pin_mapping(segment);
    CommitTransactionCommand();
    return static_cast<Exchange *>(dsm_segment_address(segment));
}

// Red. What was checked by who asked for it may have changed before we came to our start.
void require_same_owner(const Exchange &exchange)
{
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(exchange.relid));
    if (!HeapTupleIsValid(tuple) ||
        reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner != exchange.owner)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_TABLE),
                 errmsg("relation with OID %u was dropped or changed its owner meanwhile", exchange.relid)));
    ReleaseSysCache(tuple);
}

// Red.
void set_milliseconds(const char *name, int milliseconds)
{
    char value[32];
    pg_snprintf(value, sizeof value, "%dms", milliseconds);
    SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

// Red. A VACUUM in the background goes at autovacuum's pace.
void take_pace(const char *name, const char *of_autovacuum)
{
    const char *value = GetConfigOption(of_autovacuum, false, false);
    if (strcmp(value, "-1") != 0)
        SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

// Red. An autovacuum in the way is cancelled only after deadlock_timeout.
void take_on(const Exchange &exchange)
{
    require_same_owner(exchange);
    set_milliseconds("lock_timeout", exchange.lock_timeout_ms);
    set_milliseconds("deadlock_timeout",
                     std::max(1, std::min(DeadlockTimeout, exchange.lock_timeout_ms / 10)));
    take_pace("vacuum_cost_delay", "autovacuum_vacuum_cost_delay");
    take_pace("vacuum_cost_limit", "autovacuum_vacuum_cost_limit");
    SetConfigOption("session_authorization", GetUserNameFromId(exchange.owner, false), PGC_SUSET,
                    PGC_S_OVERRIDE);
}

// Red. A portal around the statement, as a client's would have: for its snapshots, and for memory that
// outlives the transactions in it, the parse tree included.
void run_statement(const char *sql)
{
    Portal portal = CreatePortal("", true, true);
    portal->visible = false;
    MemoryContext outer = MemoryContextSwitchTo(portal->portalContext);
    auto *raw = linitial_node(RawStmt, compat::parse_sql(sql));
    PlannedStmt *statement = makeNode(PlannedStmt);
    statement->commandType = CMD_UTILITY;
    statement->canSetTag = true;
    statement->utilityStmt = raw->stmt;
    statement->stmt_location = raw->stmt_location;
    statement->stmt_len = raw->stmt_len;
    PortalDefineQuery(portal, nullptr, sql, CMDTAG_UNKNOWN, list_make1(statement), nullptr);
    MemoryContextSwitchTo(outer);
    PortalStart(portal, nullptr, 0, InvalidSnapshot);
    (void)PS_PORTAL_RUN(portal, None_Receiver);
    PortalDrop(portal, false);
}

// Red.
void work(const Exchange &exchange)
{
    StartTransactionCommand();
    take_on(exchange);
    SetCurrentStatementStartTimestamp();
    pgstat_report_activity(STATE_RUNNING, exchange.sql);
    debug_query_string = exchange.sql;
    run_statement(exchange.sql);
    CommitTransactionCommand();
}

// Whole characters of the text, as many as fit.
void put(char (&to)[most_text], const char *text)
{
    const int size = pg_mbcliplen(text, static_cast<int>(strlen(text)), static_cast<int>(most_text) - 1);
    memcpy(to, text, size);
    to[size] = '\0';
}

void report(Exchange &exchange, const PgError &error)
{
    exchange.sqlstate = error.sqlstate();
    put(exchange.message, error.message());
    put(exchange.detail, error.detail());
    put(exchange.hint, error.hint());
    exchange.end = End::failed;
}

void report_out_of_memory(Exchange &exchange)
{
    exchange.sqlstate = ERRCODE_OUT_OF_MEMORY;
    put(exchange.message, "out of memory");
    exchange.end = End::failed;
}

// What left this function would end the whole server. What cannot be rolled back here is by the end of the
// process.
void serve(const Invitation &invitation)
{
    Exchange *exchange = nullptr;
    try {
        exchange = guarded([=] { return attach(invitation); });
        guarded([=] { work(*exchange); });
        exchange->end = End::done;
    } catch (const PgError &error) {
        if (exchange)
            report(*exchange, error);
    } catch (const std::bad_alloc &) {
        if (exchange)
            report_out_of_memory(*exchange);
    }
}

} // namespace

} // namespace privacy_scan::pg

// Ends with 0 whatever became of the statement: its error is the caller's to report.
void ps_top_level_main(Datum)
{
    using namespace privacy_scan::pg;
    Invitation invitation;
    memcpy(&invitation, MyBgworkerEntry->bgw_extra, sizeof invitation);
    begin_process();
    BackgroundWorkerInitializeConnectionByOid(invitation.database, InvalidOid, 0);
    MemoryContextSwitchTo(TopMemoryContext);
    serve(invitation);
    proc_exit(0);
}
