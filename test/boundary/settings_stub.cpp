// The settings that src/pg reads, under names of our own: the library's are taken where it is preloaded.
#include "pg/postgres.hpp"

#include "settings/settings.hpp"

extern "C" {
#include <utils/guc.h>
PG_MODULE_MAGIC;
PGDLLEXPORT void _PG_init(void);
}

static int lock_timeout_value;
static int lock_attempts_value;

void _PG_init(void)
{
    DefineCustomIntVariable("boundary_test.lock_timeout", "See privacy_scan.lock_timeout.", nullptr,
                            &lock_timeout_value, 50, -1, 60000, PGC_USERSET, GUC_UNIT_MS, nullptr, nullptr,
                            nullptr);
    DefineCustomIntVariable("boundary_test.lock_attempts", "See privacy_scan.lock_attempts.", nullptr,
                            &lock_attempts_value, 3, 1, 10000, PGC_USERSET, 0, nullptr, nullptr, nullptr);
}

int privacy_scan::settings::lock_timeout_ms()
{
    return lock_timeout_value;
}

int privacy_scan::settings::clock_offset_s()
{
    return 0;
}

int privacy_scan::settings::lock_attempts()
{
    return lock_attempts_value;
}
