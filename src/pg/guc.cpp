// See guc.hpp.
#include "pg/guc.hpp"

extern "C" {
#include <utils/guc.h>
}

namespace privacy_scan::pg
{

GucScope::GucScope() noexcept : level_(NewGUCNestLevel()) {}

GucScope::~GucScope()
{
    AtEOXact_GUC(false, level_);
}

// Red.
static void set_at_level(const char *name, const char *value, GucContext rights)
{
    (void)set_config_option(name, value, rights, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

void GucScope::set(const char *name, const char *value)
{
    guarded([=] { set_at_level(name, value, superuser() ? PGC_SUSET : PGC_USERSET); });
}

void GucScope::set_as_server(const char *name, const char *value)
{
    guarded([=] { set_at_level(name, value, PGC_SUSET); });
}

void set_lock_timeout(GucScope &settings, int milliseconds)
{
    settings.set("lock_timeout", (std::to_string(milliseconds) + "ms").c_str());
    settings.set_as_server("deadlock_timeout",
                           (std::to_string(std::max(1, milliseconds / 10)) + "ms").c_str());
}

} // namespace privacy_scan::pg
