// See standby.hpp.
#include "pg/standby.hpp"

extern "C" {
#include <access/xlog.h>
}

namespace privacy_scan::pg
{

bool is_standby()
{
    return guarded([] { return RecoveryInProgress(); });
}

bool warn_on_standby()
{
    if (!is_standby())
        return false;
    guarded([] { ereport(WARNING, (errmsg("%s", standby_message))); });
    return true;
}

bool null_on_standby(FunctionCallInfo fcinfo)
{
    fcinfo->isnull = warn_on_standby();
    return fcinfo->isnull;
}

} // namespace privacy_scan::pg
