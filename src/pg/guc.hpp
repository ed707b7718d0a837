// Settings (GUCs) changed for a stretch of code.
#pragma once

#include "pg/guard.hpp"

namespace privacy_scan::pg
{

// A nest level of settings. Whatever set() changed is as before when the scope ends, in whichever way: also
// while an exception flies, so that nothing between the throw and the abort runs under our settings.
class GucScope
{
  public:
    GucScope() noexcept;
    GucScope(const GucScope &) = delete;
    GucScope &operator=(const GucScope &) = delete;
    ~GucScope();

    // With the rights of the current user. Error: 22023 where the value isn't valid, 42501.
    void set(const char *name, const char *value);

    // With the server's own rights, whoever the current user is: for what a superuser alone may set and no
    // user's code can notice.
    void set_as_server(const char *name, const char *value);

  private:
    int level_;
};

// An autovacuum in the way is cancelled only after deadlock_timeout, so that this is made shorter still.
void set_lock_timeout(GucScope &settings, int milliseconds);

// While it lives, names without a schema are PostgreSQL's own. For statements on the catalog that run as the
// caller: a caller's search_path may put somebody else's operators first.
class CatalogPath
{
  public:
    CatalogPath() { settings_.set("search_path", "pg_catalog, pg_temp"); }

  private:
    GucScope settings_;
};

} // namespace privacy_scan::pg
