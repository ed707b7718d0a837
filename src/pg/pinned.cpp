// See pinned.hpp. Why each setting stands here: a job of ours meets tables whose owners may be hostile, and
// databases and roles whose defaults may be.
#include "pg/pinned.hpp"

extern "C" {
#include <utils/guc.h>
}

namespace privacy_scan::pg
{

namespace
{

struct Setting {
    const char *name;
    const char *value;
};

constexpr Setting of_statements[] = {
    {"search_path", "pg_catalog, pg_temp"},
    {"row_security", "off"},
    {"TimeZone", "UTC"},
    {"DateStyle", "ISO, YMD"},
    {"IntervalStyle", "postgres"},
    {"extra_float_digits", "1"},
    {"bytea_output", "hex"},
    {"default_tablespace", ""},
    {"default_table_access_method", "heap"},
    {"check_function_bodies", "off"},
    {"quote_all_identifiers", "off"},
    {"jit", "off"}, // a statement of ours runs once or is short: compiling it may take seconds
};

constexpr Setting of_process[] = {
    {"role", "none"},
    {"default_transaction_isolation", "read committed"},
    {"default_transaction_read_only", "off"},
    {"default_transaction_deferrable", "off"},
    {"session_replication_role", "origin"},
    {"exit_on_error", "off"},
    {"zero_damaged_pages", "off"},
    {"ignore_checksum_failure", "off"},
    {"statement_timeout", "0"},
    {"lock_timeout", "0"},
    {"transaction_timeout", "0"},
    {"idle_in_transaction_session_timeout", "0"},
    {"idle_session_timeout", "0"},
};

// Red. Settings that a version doesn't know are passed over.
void pin(const Setting &setting)
{
    if (GetConfigOption(setting.name, true, false))
        SetConfigOption(setting.name, setting.value, PGC_SUSET, PGC_S_OVERRIDE);
}

} // namespace

void pin_for_statements(GucScope &settings)
{
    for (const Setting &setting : of_statements)
        settings.set(setting.name, setting.value);
}

void pin_for_process()
{
    for (const Setting &setting : of_statements)
        pin(setting);
    for (const Setting &setting : of_process)
        pin(setting);
}

} // namespace privacy_scan::pg
