// Ways to fail, each from nested frames, and functions that let them fly to the door.
#include "boundary_test.hpp"

#include "pg/spi.hpp"

#include <new>
#include <stdexcept>

extern "C" {
#include <utils/memutils.h>
}

using namespace privacy_scan;

namespace boundary
{

int live_objects;

namespace
{

// Red.
[[noreturn]] void report()
{
    ereport(ERROR, (errcode(ERRCODE_LOCK_FILE_EXISTS), errmsg("reported below"),
                    errdetail("The detail of %d.", 7), errhint("The hint.")));
    pg_unreachable();
}

[[noreturn]] void report_cancel()
{
    ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED), errmsg("canceling statement due to a test")));
    pg_unreachable();
}

void throw_error()
{
    pg::fail(ERRCODE_DATA_EXCEPTION, "failed on purpose", "The detail: 100% of it.", "The hint: %s.");
}

// Blue code that throws across a guarded body, with the memory context, the context stack and a nested jump
// target all changed: what is tolerated must leave nothing behind.
void throw_through()
{
    static ErrorContextCallback callback{};
    callback.callback = [](void *) { errcontext("a frame that is gone"); };
    callback.previous = error_context_stack;
    pg::guarded([] {
        error_context_stack = &callback;
        MemoryContextSwitchTo(TopMemoryContext);
        pg::guarded([] { throw_error(); });
    });
}

struct Way {
    const char *kind;
    void (*act)();
};

const Way ways[] = {
    {"none", [] {}},
    {"ereport", [] { pg::guarded([] { report(); }); }},
    {"ereport in two guards", [] { pg::guarded([] { pg::guarded([] { report(); }); }); }},
    {"cancel", [] { pg::guarded([] { report_cancel(); }); }},
    {"error", throw_error},
    {"bare error", [] { pg::fail(ERRCODE_CHECK_VIOLATION, "no detail"); }},
    {"error through a guard", throw_through},
    {"bad_alloc", [] { throw std::bad_alloc(); }},
    {"length_error", [] { std::string().resize(std::string().max_size() + 1); }},
    {"exception", [] { throw std::runtime_error("what() says 100%s"); }},
    {"long exception", [] { throw std::runtime_error(std::string(100000, 'x')); }},
    {"foreign", [] { throw 42; }},
    {"sql", [] { pg::Spi().run("SELECT 1 / (pg_backend_pid() - pg_backend_pid())"); }},
    {"sql door", [] { pg::Spi().run("SELECT boundary.raise('error', 3)"); }},
    {"sql doors", [] { pg::Spi().run("SELECT boundary.raise('sql door', 3)"); }},
    {"sql missing", [] { pg::Spi().run("SELECT * FROM boundary.no_such_table"); }},
};

} // namespace

void fail_deep(const std::string &kind, int depth)
{
    Counted one;
    std::vector<std::string> held(3, "long enough to be on the heap, so that a leak would show");
    if (depth > 0)
        return fail_deep(kind, depth - 1);
    for (const Way &way : ways)
        if (kind == way.kind)
            return way.act();
    pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "no such kind of failure: " + kind);
}

std::string text_argument(FunctionCallInfo fcinfo, int number)
{
    Datum value = PG_GETARG_DATUM(number);
    return pg::guarded([=]() -> const char * { return TextDatumGetCString(value); });
}

} // namespace boundary

// raise(kind text, depth int) returns int
PS_FUNCTION(bt_raise)
{
    boundary::fail_deep(boundary::text_argument(fcinfo, 0), PG_GETARG_INT32(1));
    PG_RETURN_INT32(boundary::live_objects);
}

// live() returns int
PS_FUNCTION(bt_live)
{
    PG_RETURN_INT32(boundary::live_objects);
}
