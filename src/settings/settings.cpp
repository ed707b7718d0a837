// See settings.hpp. Sorted by name; adding a setting is one line here and one accessor.
#include "pg/postgres.hpp"

#include "settings/settings.hpp"

#include "pg/compat.hpp"
#include "pg/failpoint.hpp"

extern "C" {
#include <utils/guc.h>
#include <utils/varlena.h>
}

namespace privacy_scan::settings
{

namespace
{

int archive_drill_size_value;
int archive_level_value;
int archive_sample_value;
int clock_offset_value;
int concurrent_lock_timeout_value;
int job_history_value;
int job_timeout_value;
int lock_attempts_value;
int lock_timeout_value;
int monitor_sample_days_value;
int partition_max_ahead_value;
int partition_max_created_value;
int retention_batch_rows_value;
int retention_keep_partitions_value;
int retention_quiet_days_value;
int retention_run_rows_value;
int retention_vacuum_percent_value;
int retention_whole_rows_value;
int split_disk_reserve_value;
int split_rate_value;
int split_slice_value;
int worker_max_value;
int worker_naptime_value;
char *archive_directory_value;
char *databases_value;

struct IntSetting {
    const char *name;
    const char *what;
    const char *detail;
    int *value;
    int initial, least, most;
    GucContext context;
    int flags;
};

constexpr IntSetting int_settings[] = {
    {"privacy_scan.archive_drill_size", "Up to which size an archive is restored as a drill; 0: any.",
     "The size of its values, uncompressed. A drill needs about as much room meanwhile.",
     &archive_drill_size_value, 1024 * 1024, 0, INT_MAX, PGC_SUSET, GUC_UNIT_KB},
    {"privacy_scan.archive_level", "The zstd level of archive files.",
     "Higher ones take longer; those far above it give smaller files.", &archive_level_value, 1, 1, 19, PGC_USERSET, 0},
    {"privacy_scan.archive_sample", "How many archives a run of the job of verification reads.",
     "Those that nobody has looked at for longest; what was damaged is always read.", &archive_sample_value,
     10, 1, INT_MAX, PGC_SUSET, 0},
    {"privacy_scan.clock_offset", "How far the clock of jobs is ahead of the server's. For tests.",
     "Job starts, and the guards of retention, go by it.", &clock_offset_value, 0, -INT32_MAX, INT32_MAX,
     PGC_SUSET, GUC_UNIT_S | GUC_NOT_IN_SAMPLE},
    {"privacy_scan.concurrent_lock_timeout",
     "How long a statement that keeps nobody from reading or writing waits for locks and older transactions.",
     "CREATE INDEX CONCURRENTLY waits for every transaction that is older than it.",
     &concurrent_lock_timeout_value, 60000, 10, INT_MAX, PGC_USERSET, GUC_UNIT_MS},
    {"privacy_scan.job_history", "How many runs of each job are kept in its history.",
     "Identical failures in a row are one.", &job_history_value, 100, 1, 100000, PGC_SUSET, 0},
    {"privacy_scan.job_timeout", "How long a run of a job may take.",
     "Then it is cancelled and counts as failed; 0 is no limit. A job's own timeout goes before.",
     &job_timeout_value, 3600000, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS},
    {"privacy_scan.lock_attempts", "How often an action tries to get its locks before it gives up.",
     "Between two tries it gives way for a random moment of up to privacy_scan.lock_timeout.",
     &lock_attempts_value, 20, 1, 1000, PGC_USERSET, 0},
    {"privacy_scan.lock_timeout", "How long one try waits for a lock on a user's table.",
     "Nobody waits behind the extension for longer than this.", &lock_timeout_value, 200, 10, 60000,
     PGC_USERSET, GUC_UNIT_MS},
    {"privacy_scan.monitor_sample_days", "How many days samples are kept.",
     "A month's partition of metric_samples goes when all of it is older.", &monitor_sample_days_value, 400,
     31, 36500, PGC_SUSET, 0},
    {"privacy_scan.partition_max_ahead",
     "How many cells away from the clock a stray row may lie to get a partition.",
     "Rows of the DEFAULT partition that lie further away stay where they are and are reported.",
     &partition_max_ahead_value, 1000, 1, 100000, PGC_SUSET, 0},
    {"privacy_scan.partition_max_created", "How many partitions one call may create in one partition set.",
     "ensure_partitions() and manage_partitions() refuse more; maintain_partitions() goes on at its next "
     "call.",
     &partition_max_created_value, 1000, 1, 100000, PGC_SUSET, 0},
    {"privacy_scan.retention_batch_rows", "About how many rows of a family one batch of retention moves.",
     "A batch is one transaction in run_retention().", &retention_batch_rows_value, 50000, 1, 10000000,
     PGC_USERSET, 0},
    {"privacy_scan.retention_keep_partitions",
     "How many of the newest partitions with rows never go whole, in each partition set.",
     "Their rows go batch by batch where they have expired.", &retention_keep_partitions_value, 2, 1, 1000,
     PGC_SUSET, 0},
    {"privacy_scan.retention_quiet_days",
     "For how many days nothing new may have come before jobs of retention stop; 0: never.",
     "A clock that runs ahead would look the same.", &retention_quiet_days_value, 31, 0, 36500, PGC_SUSET, 0},
    {"privacy_scan.retention_run_rows",
     "About how many rows one run of retention archives of one root; 0: all.",
     "The next run goes on from there.", &retention_run_rows_value, 0, 0, INT32_MAX, PGC_USERSET, 0},
    {"privacy_scan.retention_vacuum_percent",
     "From what share of a relation's pages on a job of retention vacuums it; 0: never.",
     "It counts the pages that are not known to be visible to all.", &retention_vacuum_percent_value, 2, 0,
     100, PGC_USERSET, 0},
    {"privacy_scan.retention_whole_rows",
     "From how many rows on run_retention() archives a partition as a whole; 0: never.",
     "Smaller ones go batch by batch: that needs no strong lock.", &retention_whole_rows_value, 10000, 0,
     INT32_MAX, PGC_USERSET, 0},
    {"privacy_scan.split_disk_reserve", "How much disk a split leaves free.",
     "It doesn't begin, or stops on its way, where there would be less.", &split_disk_reserve_value, 256, 0,
     INT32_MAX, PGC_SUSET, GUC_UNIT_MB},
    {"privacy_scan.split_rate", "How much a split reads of its partition in a second; 0: as much as it can.",
     "It rests after each MB, and after the indexes of a piece as long as they took.", &split_rate_value, 32 * 1024, 0, INT32_MAX,
     PGC_USERSET, GUC_UNIT_KB},
    {"privacy_scan.split_slice",
     "How long the job of a set works on its splits and merges before others have their turn.",
     "It goes on a few seconds later.", &split_slice_value, 30000, 100, INT32_MAX, PGC_USERSET, GUC_UNIT_MS},
    {"privacy_scan.worker_max", "How many databases are worked on at the same time.",
     "Each takes one of max_worker_processes while it is being worked on.", &worker_max_value, 2, 1, 64,
     PGC_SIGHUP, 0},
    {"privacy_scan.worker_naptime", "How long a database is left alone between two visits of the worker.",
     "A job starts at most that much later than it is due.", &worker_naptime_value, 10, 1, 3600, PGC_SIGHUP,
     GUC_UNIT_S},
};

// Red. Refused where it is said, rather than passed over later.
bool check_databases(char **value, void **, GucSource)
{
    List *names = NIL;
    char *text = pstrdup(*value);
    const bool is_list = SplitIdentifierString(text, ',', &names);
    if (!is_list)
        GUC_check_errdetail("It is a list of names with commas; names that aren't all lower case in double quotes.");
    pfree(text);
    list_free(names);
    return is_list;
}

} // namespace

void define()
{
    for (const IntSetting &setting : int_settings)
        DefineCustomIntVariable(setting.name, setting.what, setting.detail, setting.value, setting.initial,
                                setting.least, setting.most, setting.context, setting.flags, nullptr, nullptr,
                                nullptr);
    DefineCustomStringVariable(
        "privacy_scan.archive_directory", "The directory of archive files; empty: there are none.",
        "Absolute, owned by the server's user, without rights for others, outside the data directory.",
        &archive_directory_value, "", PGC_SUSET, 0, nullptr, nullptr, nullptr);
    DefineCustomStringVariable(
        "privacy_scan.databases", "The databases in which the worker runs jobs: names with commas, or *.",
        "* is every database that has the extension; empty is none. Needs shared_preload_libraries.",
        &databases_value, "*", PGC_SIGHUP, GUC_LIST_INPUT, check_databases, nullptr, nullptr);
#ifdef PS_FAILPOINTS
    pg::define_failpoint();
#endif
    pg::compat::reserve_guc_prefix("privacy_scan");
}

int archive_drill_size_kb()
{
    return archive_drill_size_value;
}
int archive_level()
{
    return archive_level_value;
}
int archive_sample()
{
    return archive_sample_value;
}
int clock_offset_s()
{
    return clock_offset_value;
}
int concurrent_lock_timeout_ms()
{
    return concurrent_lock_timeout_value;
}
int job_history()
{
    return job_history_value;
}
int job_timeout_ms()
{
    return job_timeout_value;
}
int lock_timeout_ms()
{
    return lock_timeout_value;
}
int lock_attempts()
{
    return lock_attempts_value;
}
int monitor_sample_days()
{
    return monitor_sample_days_value;
}
int partition_max_created()
{
    return partition_max_created_value;
}
int partition_max_ahead()
{
    return partition_max_ahead_value;
}
int retention_batch_rows()
{
    return retention_batch_rows_value;
}
int retention_keep_partitions()
{
    return retention_keep_partitions_value;
}
int retention_quiet_days()
{
    return retention_quiet_days_value;
}
int retention_run_rows()
{
    return retention_run_rows_value;
}
int retention_vacuum_percent()
{
    return retention_vacuum_percent_value;
}
int retention_whole_rows()
{
    return retention_whole_rows_value;
}

int split_disk_reserve_mb()
{
    return split_disk_reserve_value;
}

int split_rate_kb()
{
    return split_rate_value;
}

int split_slice_ms()
{
    return split_slice_value;
}
int worker_max()
{
    return worker_max_value;
}
int worker_naptime_s()
{
    return worker_naptime_value;
}
const char *archive_directory()
{
    return archive_directory_value;
}
const char *databases()
{
    return databases_value;
}

} // namespace privacy_scan::settings
