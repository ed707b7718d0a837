// See analyze.hpp.
#include "pg/analyze.hpp"

#include "pg/compat.hpp"
#include "pg/ident.hpp"
#include "pg/snapshot.hpp"

extern "C" {
#include <access/xact.h>
#include <storage/bufmgr.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::pg
{

bool analyze_alone(Spi &spi, Oid relid)
{
    if (guarded([=] { return get_rel_relkind(relid); }) != RELKIND_PARTITIONED_TABLE)
        return false;
    if (compat::has_analyze_only) {
        spi.run("ANALYZE ONLY " + qualified_name(relid));
        return true;
    }
    SnapshotScope snapshot;
    guarded([=] {
        BufferAccessStrategy ring = GetAccessStrategy(BAS_VACUUM);
        compat::analyze_relation(relid, ring);
        CommandCounterIncrement(); // so that the next ANALYZE may touch the same rows of the catalog
        FreeAccessStrategy(ring);
    });
    return true;
}

} // namespace privacy_scan::pg
