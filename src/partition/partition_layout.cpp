// See partition_layout.hpp. Red code inside guarded() fills plain arrays; the rest is blue.
#include "pg/postgres.hpp"

#include "partition/partition_layout.hpp"

#include "partition/id_value.hpp"

#include "pg/compat.hpp"
#include "pg/guard.hpp"
#include "pg/ident.hpp"

extern "C" {
#include <access/relation.h>
#include <access/table.h>
#include <catalog/catalog.h>
#include <catalog/dependency.h>
#include <catalog/partition.h>
#include <catalog/pg_partitioned_table.h>
#include <catalog/namespace.h>
#include <commands/extension.h>
#include <partitioning/partbounds.h>
#include <partitioning/partdesc.h>
#include <utils/datum.h>
#include <utils/lsyscache.h>
#include <utils/partcache.h>
#include <utils/rel.h>
#include <utils/relcache.h>
#include <utils/syscache.h>
}

namespace privacy_scan::partition
{

PartitionKey partition_key(Oid relid)
{
    PartitionKey key{};
    HeapTuple tuple = SearchSysCache1(PARTRELID, ObjectIdGetDatum(relid));
    if (!HeapTupleIsValid(tuple))
        return key;
    auto *form = reinterpret_cast<Form_pg_partitioned_table>(GETSTRUCT(tuple));
    key.by_range = form->partstrat == PARTITION_STRATEGY_RANGE;
    key.columns = form->partnatts;
    key.number = form->partattrs.values[0];
    bool is_null = false;
    const Datum collations =
        SysCacheGetAttr(PARTRELID, tuple, Anum_pg_partitioned_table_partcollation, &is_null);
    if (!is_null)
        key.collation = reinterpret_cast<oidvector *>(DatumGetPointer(collations))->values[0];
    ReleaseSysCache(tuple);
    if (key.number != 0)
        key.type = get_atttype(relid, key.number);
    return key;
}

namespace
{

struct RelationFacts {
    char kind;
    bool is_partition;
    bool is_temporary;
    bool is_catalog;
    Oid extension;
    PartitionKey key;
};

// Red.
RelationFacts relation_facts(Oid relid)
{
    RelationFacts facts{};
    Relation rel = relation_open(relid, AccessShareLock);
    facts.kind = rel->rd_rel->relkind;
    facts.is_partition = rel->rd_rel->relispartition;
    facts.is_temporary = rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP;
    facts.is_catalog = IsSystemRelation(rel);
    facts.extension = getExtensionOfObject(RelationRelationId, relid);
    // Our own are ours to manage: members that lie in our schema, not what was added to us from elsewhere.
    if (facts.extension == get_extension_oid("privacy_scan", true) &&
        get_rel_namespace(relid) == get_namespace_oid("privacy_scan", true))
        facts.extension = InvalidOid;
    facts.key = partition_key(relid);
    relation_close(rel, AccessShareLock);
    return facts;
}

const char *kind_name(char kind)
{
    switch (kind) {
    case RELKIND_VIEW:
        return "a view";
    case RELKIND_MATVIEW:
        return "a materialized view";
    case RELKIND_INDEX:
    case RELKIND_PARTITIONED_INDEX:
        return "an index";
    case RELKIND_SEQUENCE:
        return "a sequence";
    case RELKIND_FOREIGN_TABLE:
        return "a foreign table";
    case RELKIND_COMPOSITE_TYPE:
        return "a composite type";
    case RELKIND_TOASTVALUE:
        return "a TOAST table";
    default:
        return "a table without partitions";
    }
}

[[noreturn]] void refuse(Oid relid, const std::string &why, const std::string &hint)
{
    pg::fail(ERRCODE_WRONG_OBJECT_TYPE,
             "cannot manage partitions of relation \"" + pg::relation_name(relid) + "\"",
             "It is " + why + ".", hint);
}

void check_kind(Oid relid, const RelationFacts &facts)
{
    const std::string range = "Managed are tables declared with PARTITION BY RANGE over one column.";
    if (facts.is_catalog)
        refuse(relid, "a system relation", range);
    if (facts.kind == RELKIND_RELATION && !facts.is_partition)
        refuse(relid, kind_name(facts.kind),
               range + " A table cannot be turned into a partitioned one in place; create one beside it.");
    if (facts.is_partition)
        refuse(relid, "itself a partition", "Manage its topmost parent.");
    if (facts.kind != RELKIND_PARTITIONED_TABLE)
        refuse(relid, kind_name(facts.kind), range);
    if (facts.is_temporary)
        refuse(relid, "temporary", range);
    if (OidIsValid(facts.extension))
        refuse(relid, "a member of an extension", "Leave it to that extension.");
    if (!facts.key.by_range)
        refuse(relid, "partitioned by list or hash", range);
}

} // namespace

PartitionKeyColumn key_column(Oid relid)
{
    RelationFacts facts = pg::guarded([=] { return relation_facts(relid); });
    check_kind(relid, facts);
    if (facts.key.columns != 1 || facts.key.number == 0)
        pg::fail(ERRCODE_FEATURE_NOT_SUPPORTED,
                 "cannot manage partitions of relation \"" + pg::relation_name(relid) + "\"",
                 facts.key.columns != 1 ? "Its partition key has several columns."
                                        : "Its partition key is an expression.",
                 "Managed are tables declared with PARTITION BY RANGE over one column.");
    AttrNumber number = facts.key.number;
    const char *name = pg::guarded([=] { return get_attname(relid, number, false); });
    return {number, name, facts.key.type, facts.key.collation};
}

namespace
{

// One range bound of the cache, as trivial data.
struct Bound {
    PartitionRangeDatumKind kind;
    Datum value;
};

struct RawLayout {
    int ranges;
    Bound *lower, *upper;
    Oid *partition;
    Oid default_partition;
};

// Red. The copy outlives the relation cache's entry.
Bound copy_bound(PartitionRangeDatumKind kind, Datum value, Oid type)
{
    int16 length = 0;
    bool by_value = false;
    get_typlenbyval(type, &length, &by_value);
    return {kind, kind == PARTITION_RANGE_DATUM_VALUE ? datumCopy(value, by_value, length) : Datum(0)};
}

// Red. All of it lives in the current memory context.
RawLayout raw_layout(Oid relid, Oid type)
{
    RawLayout raw{};
    Relation rel = relation_open(relid, AccessShareLock);
    PartitionDesc desc = pg::compat::partition_desc(rel);
    PartitionBoundInfo info = desc->boundinfo;
    int bounds = info ? info->ndatums : 0;
    raw.lower = static_cast<Bound *>(palloc0(sizeof(Bound) * (bounds + 1)));
    raw.upper = static_cast<Bound *>(palloc0(sizeof(Bound) * (bounds + 1)));
    raw.partition = static_cast<Oid *>(palloc0(sizeof(Oid) * (bounds + 1)));
    for (int i = 1; i < bounds; ++i) {
        if (info->indexes[i] < 0)
            continue; // a gap between two partitions
        raw.lower[raw.ranges] = copy_bound(info->kind[i - 1][0], info->datums[i - 1][0], type);
        raw.upper[raw.ranges] = copy_bound(info->kind[i][0], info->datums[i][0], type);
        raw.partition[raw.ranges++] = desc->oids[info->indexes[i]];
    }
    if (info && partition_bound_has_default(info))
        raw.default_partition = desc->oids[info->default_index];
    relation_close(rel, AccessShareLock);
    return raw;
}

std::int64_t on_axis(const KeyAxis &key, const Bound &bound)
{
    if (bound.kind == PARTITION_RANGE_DATUM_MINVALUE)
        return axis_min;
    if (bound.kind == PARTITION_RANGE_DATUM_MAXVALUE)
        return axis_max;
    return pg::guarded([&] { return key.axis_of(bound.value); });
}

bool is_aligned(const KeyAxis &key, const Bound &bound)
{
    return bound.kind != PARTITION_RANGE_DATUM_VALUE ||
           pg::guarded([&] { return key.is_aligned(bound.value); });
}

std::string stored_id(const KeyAxis &key, const Bound &bound)
{
    if (bound.kind == PARTITION_RANGE_DATUM_MINVALUE)
        return "MINVALUE";
    if (bound.kind == PARTITION_RANGE_DATUM_MAXVALUE)
        return "MAXVALUE";
    return text_of_value(key.type(), bound.value);
}

} // namespace

void refresh_layout(Oid relid)
{
    pg::guarded([=] { RelationCacheInvalidateEntry(relid); });
}

Layout read_layout(Oid relid, const KeyAxis &key)
{
    const Oid type = key.type();
    RawLayout raw = pg::guarded([=] { return raw_layout(relid, type); });
    Layout layout;
    layout.default_partition = raw.default_partition;
    for (int i = 0; i < raw.ranges; ++i) {
        layout.taken.push_back({on_axis(key, raw.lower[i]), on_axis(key, raw.upper[i])});
        layout.partitions.push_back(raw.partition[i]);
        if (!key.kind())
            continue;
        layout.ids.emplace_back(stored_id(key, raw.lower[i]), stored_id(key, raw.upper[i]));
        if (!OidIsValid(layout.unaligned) &&
            !(is_aligned(key, raw.lower[i]) && is_aligned(key, raw.upper[i])))
            layout.unaligned = raw.partition[i];
    }
    return layout;
}

} // namespace privacy_scan::partition
