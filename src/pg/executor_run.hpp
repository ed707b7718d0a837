// What may stay open while one query runs: relations and scans that its expressions would otherwise open and
// close for every row. Red.
#pragma once

#include "pg/postgres.hpp"

namespace privacy_scan::pg
{

// An ExecutorRun() that is going on. Expressions of its plan have its context for their fn_mcxt; those of a
// PL function that it calls have not.
struct ExecutorRun {
    MemoryContext context;     // es_query_cxt
    void *kept;                // in that context; null at first
    void (*close)(void *kept); // called when the run returns; on an error its resource owner closes instead
    ExecutorRun *outer;
};

// The innermost one, if that is its context; otherwise null.
ExecutorRun *executor_run(MemoryContext context);

// Follows the executor from here on. Called once, from _PG_init.
void follow_executor();

} // namespace privacy_scan::pg
