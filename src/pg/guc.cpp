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

void GucScope::set(const char *name, const char *value)
{
    guarded([=] {
        (void)set_config_option(name, value, superuser() ? PGC_SUSET : PGC_USERSET, PGC_S_SESSION,
                                GUC_ACTION_SAVE, true, 0, false);
    });
}

} // namespace privacy_scan::pg
