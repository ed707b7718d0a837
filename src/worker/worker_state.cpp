// See worker_state.hpp.
#include "pg/postgres.hpp"

#include "worker/worker_state.hpp"

#include "pg/compat.hpp"

extern "C" {
#include <storage/ipc.h>
#include <storage/shmem.h>
}

namespace privacy_scan::worker
{

State *state;

namespace
{

shmem_startup_hook_type next_startup_hook;
pg::compat::Procedure next_request;

void request()
{
    if (next_request)
        next_request();
    RequestAddinShmemSpace(sizeof(State));
    RequestNamedLWLockTranche("privacy_scan", 2);
}

void start()
{
    if (next_startup_hook)
        next_startup_hook();
    bool found = false;
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    state = static_cast<State *>(ShmemInitStruct("privacy_scan", sizeof(State), &found));
    if (!found) {
        MemSet(state, 0, sizeof(State));
        state->lock = &GetNamedLWLockTranche("privacy_scan")[0].lock;
    }
    jobs::use_progress_board(&state->progress, &GetNamedLWLockTranche("privacy_scan")[1].lock);
    LWLockRelease(AddinShmemInitLock);
}

} // namespace

void request_memory()
{
    next_request = pg::compat::on_shmem_request(request);
    next_startup_hook = shmem_startup_hook;
    shmem_startup_hook = start;
}

} // namespace privacy_scan::worker
