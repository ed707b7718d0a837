// See owner.hpp.
#include "pg/owner.hpp"

#include "pg/compat.hpp"
#include "pg/ident.hpp"
#include "pg/lock.hpp"
#include "pg/pinned.hpp"
#include "pg/strong_lock.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <access/xact.h>
#include <catalog/namespace.h>
#include <catalog/pg_namespace.h>
#include <commands/trigger.h>
#include <nodes/parsenodes.h>
#include <storage/lmgr.h>
#include <utils/lsyscache.h>
#include <utils/syscache.h>
}

namespace privacy_scan::pg
{

namespace
{

// Red. Fires what the caller's own statements deferred, as the caller, and defers nothing from here on.
void make_constraints_immediate()
{
    ConstraintsSetStmt all_immediate{};
    all_immediate.type = T_ConstraintsSetStmt;
    AfterTriggerSetState(&all_immediate);
}

// Red.
Oid schema_owner()
{
    static const char name[] = "privacy_scan";
    Oid owner = InvalidOid;
    HeapTuple tuple = SearchSysCache1(NAMESPACENAME, CStringGetDatum(name));
    if (HeapTupleIsValid(tuple)) {
        owner = reinterpret_cast<Form_pg_namespace>(GETSTRUCT(tuple))->nspowner;
        ReleaseSysCache(tuple);
    }
    if (!OidIsValid(owner))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_SCHEMA), errmsg("schema \"%s\" does not exist", name),
                        errhint("Run CREATE EXTENSION privacy_scan.")));
    return owner;
}

// Red. The owner, or InvalidOid where the relation is gone.
Oid owner_of(Oid relid)
{
    Oid owner = InvalidOid;
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
    if (HeapTupleIsValid(tuple)) {
        owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
        ReleaseSysCache(tuple);
    }
    return owner;
}

} // namespace

OwnedTable require_owner(Oid relid)
{
    Oid owner = guarded([=] { return owner_of(relid); });
    if (!OidIsValid(owner))
        fail(ERRCODE_UNDEFINED_TABLE, "relation with OID " + std::to_string(relid) + " does not exist");
    Oid caller = GetUserId();
    if (!guarded([=] { return compat::owns_relation(relid, caller); }))
        fail(ERRCODE_INSUFFICIENT_PRIVILEGE, "must be owner of relation \"" + relation_name(relid) + "\"", {},
             "Call it as a member of the role \"" + role_name(owner) + "\".");
    return {relid, owner};
}

void lock_owned(const OwnedTable &table, int lockmode)
{
    GucScope settings;
    set_lock_timeout(settings, settings::lock_timeout_ms());
    const LockTimer timer;
    guarded([=] {
        note_lock(lockmode);
        LockRelationOid(table.relid, lockmode);
        if (owner_of(table.relid) != table.owner)
            ereport(ERROR,
                    (errcode(ERRCODE_UNDEFINED_TABLE),
                     errmsg("relation with OID %u was dropped or changed its owner meanwhile", table.relid)));
    });
}

RoleScope::RoleScope(Oid role, int context) noexcept
{
    GetUserIdAndSecContext(&saved_role_, &saved_context_);
    SetUserIdAndSecContext(role, saved_context_ | context);
}

RoleScope::~RoleScope()
{
    SetUserIdAndSecContext(saved_role_, saved_context_);
}

OwnerScope::OwnerScope(Oid owner)
{
    guarded([] { make_constraints_immediate(); });
    pin_for_statements(settings_.emplace());
    set_lock_timeout(*settings_, settings::lock_timeout_ms());
    role_.emplace(owner, SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS);
}

CatalogScope::CatalogScope() : role_(guarded([] { return schema_owner(); }), SECURITY_LOCAL_USERID_CHANGE)
{
    pin_for_statements(settings_);
    set_lock_timeout(settings_, settings::lock_timeout_ms());
}

void require_read_committed(const char *what)
{
    if (IsolationUsesXactSnapshot())
        fail(ERRCODE_ACTIVE_SQL_TRANSACTION, std::string(what) + " must run in a READ COMMITTED transaction",
             "The snapshot of this transaction is older than the locks it would take, so that rows committed "
             "in "
             "between would be overlooked.",
             "Run SET TRANSACTION ISOLATION LEVEL READ COMMITTED first, or set it as the default of the "
             "role.");
}

} // namespace privacy_scan::pg
