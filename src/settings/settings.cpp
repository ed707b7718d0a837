// See settings.hpp. Sorted by name; adding a setting is one line here and one accessor.
#include "pg/postgres.hpp"

#include "settings/settings.hpp"

#include "pg/compat.hpp"

namespace privacy_scan::settings
{

namespace
{

int lock_attempts_value;
int lock_timeout_value;
int monitor_sample_days_value;
int partition_max_ahead_value;
int partition_max_created_value;
int retention_batch_rows_value;

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
};

} // namespace

void define()
{
    for (const IntSetting &setting : int_settings)
        DefineCustomIntVariable(setting.name, setting.what, setting.detail, setting.value, setting.initial,
                                setting.least, setting.most, setting.context, setting.flags, nullptr, nullptr,
                                nullptr);
    pg::compat::reserve_guc_prefix("privacy_scan");
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

} // namespace privacy_scan::settings
