// See progress.hpp.
#include "pg/postgres.hpp"

#include "jobs/progress.hpp"

#include "pg/owner.hpp"
#include "pg/subxact.hpp"

extern "C" {
#include <storage/ipc.h>
}

namespace privacy_scan::jobs
{

namespace
{

ProgressBoard *board;
LWLock *board_lock;

class BoardLock
{
  public:
    explicit BoardLock(LWLockMode mode) { LWLockAcquire(board_lock, mode); }
    BoardLock(const BoardLock &) = delete;
    BoardLock &operator=(const BoardLock &) = delete;
    ~BoardLock() { LWLockRelease(board_lock); }
};

void clear_entries_of_process()
{
    const BoardLock lock(LW_EXCLUSIVE);
    for (ProgressEntry &entry : board->entries)
        if (entry.pid == MyProcPid)
            entry.pid = 0;
}

// A process that is terminated leaves without unwinding.
void on_exit(int, Datum)
{
    clear_entries_of_process();
}

ProgressEntry *take_entry(JobKey key)
{
    static bool is_registered;
    if (!board)
        return nullptr;
    if (!is_registered)
        pg::guarded([] { before_shmem_exit(on_exit, 0); });
    is_registered = true;
    const BoardLock lock(LW_EXCLUSIVE);
    for (ProgressEntry &entry : board->entries)
        if (entry.pid == 0) {
            entry = ProgressEntry{MyProcPid, MyDatabaseId, key.relid, key.kind, key.relid, "starting", 0, -1};
            return &entry;
        }
    return nullptr;
}

void store(pg::Spi &spi, JobKey key, const Progress &progress)
{
    std::vector<pg::Param> params = params_of(key);
    params.push_back(pg::text_param(progress.phase));
    params.push_back(pg::oid_param(progress.relation));
    params.push_back(pg::int8_param(progress.done));
    params.push_back(progress.total ? pg::int8_param(*progress.total) : pg::null_param(INT8OID));
    pg::CatalogScope scope;
    spi.run("UPDATE privacy_scan.job_states SET phase = $3, phase_relation = $4, done = $5, total = $6"
            " WHERE kind = $1 AND relation = $2",
            params);
}

} // namespace

void use_progress_board(ProgressBoard *memory, LWLock *lock)
{
    board = memory;
    board_lock = lock;
}

ProgressReport::ProgressReport(JobKey key) : key_(key), entry_(take_entry(key)) {}

ProgressReport::~ProgressReport()
{
    if (entry_)
        clear_entries_of_process();
}

void ProgressReport::show(pg::Spi &spi, const Progress &progress)
{
    if (!entry_) { // where somebody keeps the row locked, the run goes on unseen
        pg::try_in_subtransaction([&] { store(spi, key_, progress); });
        return;
    }
    const BoardLock lock(LW_EXCLUSIVE);
    strlcpy(entry_->phase, progress.phase, sizeof entry_->phase);
    entry_->relation = progress.relation;
    entry_->done = progress.done;
    entry_->total = progress.total.value_or(-1);
}

std::vector<ProgressEntry> running_jobs()
{
    std::vector<ProgressEntry> entries;
    if (!board)
        return entries;
    entries.reserve(std::size(board->entries)); // nothing is allocated under the lock
    const BoardLock lock(LW_SHARED);
    for (const ProgressEntry &entry : board->entries)
        if (entry.pid != 0 && entry.database == MyDatabaseId)
            entries.push_back(entry);
    return entries;
}

} // namespace privacy_scan::jobs
