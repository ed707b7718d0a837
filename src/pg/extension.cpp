// See extension.hpp.
#include "pg/extension.hpp"

#include "pg/guard.hpp"

extern "C" {
#include <access/genam.h>
#include <access/htup_details.h>
#include <access/table.h>
#include <access/xlog.h>
#include <catalog/indexing.h>
#include <catalog/pg_extension.h>
#include <storage/lmgr.h>
#include <utils/fmgroids.h>
#include <utils/rel.h>
#include <utils/snapmgr.h>
}

namespace privacy_scan::pg
{

namespace
{

// Red.
ExtensionMark look_up()
{
    static const char name[] = "privacy_scan";
    ExtensionMark mark{InvalidOid, InvalidTransactionId};
    Relation rel = table_open(ExtensionRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum(name));
    SysScanDesc scan = systable_beginscan(rel, ExtensionNameIndexId, true, nullptr, 1, &key);
    HeapTuple tuple = systable_getnext(scan);
    if (HeapTupleIsValid(tuple))
        mark = {reinterpret_cast<Form_pg_extension>(GETSTRUCT(tuple))->oid,
                HeapTupleHeaderGetRawXmin(tuple->t_data)};
    systable_endscan(scan);
    table_close(rel, AccessShareLock);
    return mark;
}

// Red. SHARE: so do all of us at once, while DROP takes ACCESS EXCLUSIVE and COMMENT SHARE UPDATE EXCLUSIVE.
ExtensionMark look_up_and_lock()
{
    for (;;) {
        const ExtensionMark before = look_up();
        if (!OidIsValid(before.oid) || RecoveryInProgress())
            return before;
        LockDatabaseObject(ExtensionRelationId, before.oid, 0, ShareLock);
        if (look_up() == before)
            return before;
    }
}

} // namespace

ExtensionGone::ExtensionGone()
    : Error{ERRCODE_UNDEFINED_OBJECT,
            "extension \"privacy_scan\" was dropped or updated meanwhile",
            "What was committed before stays.",
            {}}
{
}

ExtensionMark hold_extension()
{
    return guarded([] {
        const ExtensionMark mark = look_up_and_lock();
        InvalidateCatalogSnapshot(); // who begins with this must not hold a snapshot (top_level.hpp)
        return mark;
    });
}

} // namespace privacy_scan::pg
