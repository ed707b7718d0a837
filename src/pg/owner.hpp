// The one way to touch a user's table, and the one way to write our own tables.
#pragma once

#include "pg/guc.hpp"

namespace privacy_scan::pg
{

// A relation that the caller named, checked before any lock is asked for.
struct OwnedTable {
    Oid relid;
    Oid owner;
};

// Checks that the relation exists and that the caller owns it (a superuser owns all). No lock is taken.
// Errors: 42P01 undefined_table, 42501 insufficient_privilege.
OwnedTable require_owner(Oid relid);

// Locks the relation within the caller's lock_timeout and checks again that it exists and still has this
// owner. The lock stays until the end of the transaction. Errors: 55P03 lock_not_available, 42P01, 42501.
void lock_owned(const OwnedTable &table, int lockmode);

// Another role, put back when the scope ends in whichever way.
class RoleScope
{
  public:
    // context: what is added to the security context (SECURITY_...).
    RoleScope(Oid role, int context) noexcept;
    RoleScope(const RoleScope &) = delete;
    RoleScope &operator=(const RoleScope &) = delete;
    ~RoleScope();

  private:
    Oid saved_role_;
    int saved_context_;
};

// While it lives, everything runs as the table's owner, in a security-restricted operation (no temporary
// objects, no SET ROLE, nothing deferred), with settings that no database, role or session can bend:
// search_path pinned, row_security off (an error instead of half of the rows; the owner's own FORCE ROW LEVEL
// SECURITY is passed over, as it is for foreign keys), ISO dates, UTC, our lock timeout. Constraints become
// immediate first, in the name of the caller: what is deferred to the commit would run with the caller's
// rights. Role and settings are put back however the scope ends.
class OwnerScope
{
  public:
    explicit OwnerScope(Oid owner);

  private:
    std::optional<GucScope> settings_; // begins after the caller's own triggers have run
    std::optional<RoleScope> role_;
};

// While it lives, statements run as the owner of the extension's schema. For statements on the tables of the
// schema privacy_scan alone: no name, no expression and no value type of a user's may take part. Somebody
// else's lock on our rows or tables is waited for within our lock timeout, too.
class CatalogScope
{
  public:
    CatalogScope();

  private:
    GucScope settings_;
    RoleScope role_;
};

// Refuses a transaction whose snapshot is older than the locks we take: under REPEATABLE READ and above,
// rows committed in between would be lost. Error: 25001 active_sql_transaction.
void require_read_committed(const char *what);

} // namespace privacy_scan::pg
