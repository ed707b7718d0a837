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

} // namespace privacy_scan::pg
