// See guc.hpp.
#include "pg/guc.hpp"

extern "C" {
#include <utils/guc.h>
}

namespace privacy_scan::pg
{

// Red.
static void change(const char *name, const char *value, GucContext rights)
{
    (void)set_config_option(name, value, rights, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

GucScope::GucScope() noexcept : level_(NewGUCNestLevel()) {}

GucScope::~GucScope()
{
    AtEOXact_GUC(false, level_);
}

void GucScope::set(const char *name, const char *value)
{
    guarded([=] { change(name, value, superuser() ? PGC_SUSET : PGC_USERSET); });
}

void GucScope::set_trusted(const char *name, const char *value)
{
    guarded([=] { change(name, value, PGC_SUSET); });
}

} // namespace privacy_scan::pg
