// Errors caught by rolling back a subtransaction, and what the scopes of src/pg leave behind.
#include "boundary_test.hpp"

#include "pg/ident.hpp"
#include "pg/lock.hpp"
#include "pg/memory.hpp"
#include "pg/owner.hpp"
#include "pg/relation.hpp"
#include "pg/rowset.hpp"
#include "pg/snapshot.hpp"
#include "pg/spi.hpp"
#include "pg/subxact.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <access/xact.h>
#include <storage/lmgr.h>
#include <utils/guc.h>
#include <utils/snapmgr.h>
}

using namespace privacy_scan;
using pg::cell;

namespace
{

// The server's state that a caught error must leave as it was.
struct State {
    sigjmp_buf *exceptions = PG_exception_stack;
    ErrorContextCallback *contexts = error_context_stack;
    MemoryContext memory = CurrentMemoryContext;
    MemoryContext door = pg::detail::door_memory;
    ResourceOwner resources = CurrentResourceOwner;
    uint32 interrupts = InterruptHoldoffCount;
    uint32 cancels = QueryCancelHoldoffCount;
    uint32 critical = CritSectionCount;
    int level = GetCurrentTransactionNestLevel();
    Snapshot snapshot = ActiveSnapshotSet() ? GetActiveSnapshot() : nullptr;
    Oid role = InvalidOid;
    int security = 0;
    std::string path = GetConfigOption("search_path", false, false);
    int objects = boundary::live_objects;
    Size allocated = MemoryContextMemAllocated(TopMemoryContext, true);

    State() { GetUserIdAndSecContext(&role, &security); }
};

// The names of what differs; empty where nothing does.
std::string differences(const State &a, const State &b)
{
    std::string names;
    auto compare = [&](bool same, const char *name) { names += same ? "" : std::string(name) + " "; };
    compare(a.exceptions == b.exceptions, "PG_exception_stack");
    compare(a.contexts == b.contexts, "error_context_stack");
    compare(a.memory == b.memory, "CurrentMemoryContext");
    compare(a.door == b.door, "door_memory");
    compare(a.resources == b.resources, "CurrentResourceOwner");
    compare(a.interrupts == b.interrupts, "InterruptHoldoffCount");
    compare(a.cancels == b.cancels, "QueryCancelHoldoffCount");
    compare(a.critical == b.critical, "CritSectionCount");
    compare(a.level == b.level, "nest level");
    compare(a.snapshot == b.snapshot, "active snapshot");
    compare(a.role == b.role && a.security == b.security, "role");
    compare(a.path == b.path, "search_path");
    compare(a.objects == b.objects, "objects");
    compare(b.allocated < a.allocated + (1 << 20), "1 MB of memory");
    return names;
}

std::string left_behind(const State &before)
{
    std::string names = differences(before, State());
    return names.empty() ? "nothing" : names;
}

std::string outcome(const std::optional<pg::ErrorText> &failure)
{
    return failure ? failure->sqlstate + " " + failure->message.substr(0, 80) : "no error";
}

Datum text_result(const std::string &text)
{
    return pg::cell(text).value;
}

std::string role_now()
{
    Oid role = InvalidOid;
    int context = 0;
    GetUserIdAndSecContext(&role, &context);
    return pg::role_name(role) + (context & SECURITY_RESTRICTED_OPERATION ? " restricted" : "") +
           (context & SECURITY_LOCAL_USERID_CHANGE ? " local" : "");
}

std::string setting_now(const char *name)
{
    return GetConfigOption(name, false, false);
}

std::string who_and_how()
{
    return role_now() + "; search_path " + setting_now("search_path") + "; row_security " +
           setting_now("row_security") + "; TimeZone " + setting_now("TimeZone") + "; lock_timeout " +
           setting_now("lock_timeout");
}

// One body for each scope: opens it, and fails in the given way inside.
void in_scope(const std::string &scope, Oid relid, const std::string &kind)
{
    boundary::Counted one;
    if (scope == "none") {
        boundary::fail_deep(kind, 2);
    } else if (scope == "owner") {
        pg::OwnerScope as_owner(pg::require_owner(relid).owner);
        boundary::fail_deep(kind, 2);
    } else if (scope == "catalog") {
        pg::CatalogScope as_owner;
        boundary::fail_deep(kind, 2);
    } else if (scope == "guc") {
        pg::GucScope settings;
        settings.set("search_path", "boundary");
        boundary::fail_deep(kind, 2);
    } else if (scope == "memory") {
        pg::MemoryScope memory("boundary test");
        pg::guarded([] { (void)palloc(100000); });
        boundary::fail_deep(kind, 2);
    } else if (scope == "spi") {
        pg::Spi spi;
        pg::Rows rows = spi.run("SELECT n FROM generate_series(1, 1000) n");
        boundary::fail_deep(kind, 2);
    } else if (scope == "relation") {
        pg::RelationScope relation(relid, AccessShareLock);
        boundary::fail_deep(kind, 2);
    } else if (scope == "snapshot") {
        pg::SnapshotScope snapshot;
        boundary::fail_deep(kind, 2);
    } else if (scope == "subtransaction") {
        pg::Subtransaction inner;
        boundary::fail_deep(kind, 2);
        inner.commit();
    } else if (scope == "open subtransaction") {
        pg::Subtransaction inner;
        boundary::fail_deep(kind, 2);
    } else {
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "no such scope: " + scope);
    }
}

} // namespace

// swallow(kind text, times int) returns text: the last outcome, and what it left behind
PS_FUNCTION(bt_swallow)
{
    const std::string kind = boundary::text_argument(fcinfo, 0);
    const int times = PG_GETARG_INT32(1);
    const State before;
    std::optional<pg::ErrorText> failure;
    for (int i = 0; i < times; ++i)
        failure = pg::try_in_subtransaction([&] { boundary::fail_deep(kind, 3); });
    return text_result(outcome(failure) + ", left: " + left_behind(before));
}

// scope(scope text, relation regclass, kind text, times int) returns text: as swallow(), inside a scope
PS_FUNCTION(bt_scope)
{
    const std::string scope = boundary::text_argument(fcinfo, 0);
    const Oid relid = PG_GETARG_OID(1);
    const std::string kind = boundary::text_argument(fcinfo, 2);
    const int times = PG_GETARG_INT32(3);
    const State before;
    std::optional<pg::ErrorText> failure;
    for (int i = 0; i < times; ++i)
        failure = pg::try_in_subtransaction([&] { in_scope(scope, relid, kind); });
    return text_result(outcome(failure) + ", left: " + left_behind(before));
}

// escape(scope text, relation regclass, kind text) returns text: as scope(), with nothing that catches
PS_FUNCTION(bt_escape)
{
    const State before;
    in_scope(boundary::text_argument(fcinfo, 0), PG_GETARG_OID(1), boundary::text_argument(fcinfo, 2));
    return text_result("no error, left: " + left_behind(before));
}

// caught_error(scope text, relation regclass, kind text) returns text: an Error of ours, caught without a
// subtransaction
PS_FUNCTION(bt_caught_error)
{
    const State before;
    try {
        in_scope(boundary::text_argument(fcinfo, 0), PG_GETARG_OID(1), boundary::text_argument(fcinfo, 2));
    } catch (const pg::Error &) {
        return text_result(left_behind(before));
    }
    return text_result("not caught");
}

// as_owner(relation regclass) returns setof (moment text, state text)
PS_FUNCTION(bt_as_owner)
{
    pg::RowSink sink(fcinfo);
    const pg::OwnedTable table = pg::require_owner(PG_GETARG_OID(0));
    auto note = [&](const char *moment) { sink.put({cell(moment), cell(who_and_how())}); };
    note("before");
    {
        pg::OwnerScope as_owner(table.owner);
        note("inside");
        (void)pg::try_in_subtransaction([&] {
            pg::RoleScope other(GetSessionUserId(), 0);
            pg::GucScope settings;
            settings.set("search_path", "boundary");
            note("nested");
            boundary::fail_deep("ereport", 1);
        });
        note("inside again");
    }
    note("after");
    return Datum(0);
}

// rows(kind text) returns text: rows and connection outlast a subtransaction that failed between
PS_FUNCTION(bt_rows)
{
    const std::string kind = boundary::text_argument(fcinfo, 0);
    pg::Spi spi;
    pg::Rows before = spi.run("SELECT 'row ' || n FROM generate_series(1, 3) n");
    auto failure = pg::try_in_subtransaction([&] {
        pg::Rows inside = spi.run("SELECT n FROM generate_series(1, 100) n");
        pg::Spi inner;
        pg::Rows deeper = inner.run("SELECT n FROM generate_series(1, 100) n");
        boundary::fail_deep(kind, 2);
    });
    pg::Rows moved = std::move(before);
    pg::Rows after = spi.run("SELECT $1::text || $2::int", {pg::text_param("after "), pg::int4_param(1)});
    pg::Rows big = spi.run("SELECT repeat('0123456789', 100000)");
    return text_result(outcome(failure) + ": " + moved.text(2, 1) + ", " + after.text(0, 1) + ", " +
                       std::to_string(big.text(0, 1).size()) + ", " + std::to_string(before.size()));
}

// writes(table regclass, kind text) returns text: what was written before stays, inside is gone
PS_FUNCTION(bt_writes)
{
    pg::Spi spi;
    const std::string insert = "INSERT INTO " + pg::qualified_name(PG_GETARG_OID(0)) + " VALUES ($1)";
    spi.run(insert, {pg::text_param("before")});
    auto failure = pg::try_in_subtransaction([&] {
        spi.run(insert, {pg::text_param("inside")});
        boundary::fail_deep(boundary::text_argument(fcinfo, 1), 2);
    });
    spi.run(insert, {pg::text_param("after")});
    return text_result(outcome(failure));
}

// commit_as(relation regclass): a procedure that commits, in the owner's role and then not
PS_FUNCTION(bt_commit_as)
{
    pg::Spi spi(fcinfo);
    {
        pg::OwnerScope as_owner(pg::require_owner(PG_GETARG_OID(0)).owner);
        auto refuse = [&] { spi.commit(); };
        try {
            refuse();
        } catch (const pg::Error &error) {
            std::string text = error.message;
            pg::guarded([&] { ereport(NOTICE, (errmsg("%s", text.c_str()))); });
        }
    }
    pg::MemoryScope memory("boundary test");
    spi.commit();
    (void)pg::try_in_subtransaction([] { boundary::fail_deep("ereport", 3); });
    spi.commit();
    return Datum(0);
}

// columns(count int) returns setof (a text, b text): a row of another width is an error, not a read beyond it
PS_FUNCTION(bt_columns)
{
    pg::RowSink sink(fcinfo);
    sink.put(std::vector<pg::Cell>(static_cast<std::size_t>(PG_GETARG_INT32(0)), cell("x")));
    return Datum(0);
}

// relation_of(relid oid) returns text: through RelationScope and SnapshotScope
PS_FUNCTION(bt_relation_of)
{
    pg::RelationScope relation(PG_GETARG_OID(0), AccessShareLock);
    pg::SnapshotScope snapshot;
    const bool held = CheckRelationLockedByMe(relation.get(), AccessShareLock, false);
    return text_result(RelationGetRelationName(relation.get()) +
                       std::string(held ? ", locked" : ", not locked") +
                       (ActiveSnapshotSet() ? ", snapshot" : ""));
}

// with_lock(relation regclass, timed boolean) returns text: outcome, tries, who was in the way
PS_FUNCTION(bt_with_lock)
{
    const pg::OwnedTable table = pg::require_owner(PG_GETARG_OID(0));
    pg::LockWait wait;
    const State before;
    auto failure = pg::try_with_locks({table.relid}, wait, [&] {
        boundary::Counted one;
        pg::lock_owned(table, AccessExclusiveLock);
    });
    const std::string tries = wait.tries == 1                           ? "1"
                              : wait.tries == settings::lock_attempts() ? "all"
                                                                        : "some";
    return text_result(outcome(failure) + "|" + tries + "|" +
                       (wait.waited_ms > 0 ? "waited" : "did not wait") + "|" + wait.blocked_by + "|" +
                       left_behind(before));
}
