// See relation.hpp.
#include "pg/relation.hpp"

extern "C" {
#include <access/relation.h>
}

namespace privacy_scan::pg
{

RelationScope::RelationScope(Oid relid, LOCKMODE lockmode)
    : relation_(guarded([=] { return try_relation_open(relid, lockmode); })),
      in_flight_(std::uncaught_exceptions())
{
    if (!relation_)
        fail(ERRCODE_UNDEFINED_TABLE, "relation with OID " + std::to_string(relid) + " does not exist");
}

RelationScope::~RelationScope()
{
    if (std::uncaught_exceptions() == in_flight_)
        relation_close(relation_, NoLock);
}

} // namespace privacy_scan::pg
