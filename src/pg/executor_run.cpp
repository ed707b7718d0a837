// See executor_run.hpp.
#include "pg/executor_run.hpp"

#include "pg/compat.hpp"

extern "C" {
#include <executor/execdesc.h>
#include <executor/executor.h>
}

namespace privacy_scan::pg
{

namespace
{

ExecutorRun_hook_type previous_hook;
ExecutorRun *innermost;

} // namespace

extern "C" {
static void run_followed(PS_EXECUTOR_RUN_PARAMETERS)
{
    ExecutorRun run{query->estate->es_query_cxt, nullptr, nullptr, innermost};
    innermost = &run;
    PG_TRY();
    {
        if (previous_hook)
            previous_hook(PS_EXECUTOR_RUN_ARGUMENTS);
        else
            standard_ExecutorRun(PS_EXECUTOR_RUN_ARGUMENTS);
        if (run.kept)
            run.close(run.kept);
    }
    PG_FINALLY();
    {
        innermost = run.outer;
    }
    PG_END_TRY();
}
}

ExecutorRun *executor_run(MemoryContext context)
{
    return innermost && innermost->context == context ? innermost : nullptr;
}

void follow_executor()
{
    previous_hook = ExecutorRun_hook;
    ExecutorRun_hook = run_followed;
}

} // namespace privacy_scan::pg
