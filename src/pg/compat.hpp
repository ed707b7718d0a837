// Differences between PostgreSQL 13 and 18, each with one name here. The only file that tests
// PG_VERSION_NUM.
#pragma once

#include "pg/postgres.hpp"

extern "C" {
#include <access/attmap.h>
#include <access/genam.h>
#include <access/toast_internals.h>
#include <catalog/partition.h>
#include <catalog/pg_class.h>
#include <commands/cluster.h>
#include <commands/trigger.h>
#include <commands/vacuum.h>
#include <executor/executor.h>
#include <executor/spi.h>
#include <parser/parser.h>
#include <partitioning/partdesc.h>
#include <utils/acl.h>
#include <utils/guc.h>
#include <storage/proc.h>
#include <storage/procarray.h>
#include <storage/shm_mq.h>
#include <storage/sinvaladt.h>
#include <utils/rel.h>
#if PG_VERSION_NUM >= 150000
#include <common/pg_prng.h>
#endif
#if PG_VERSION_NUM >= 140000
#include <utils/wait_event.h>
#else
#include <pgstat.h>
#endif
}

#if PG_VERSION_NUM < 130000 || PG_VERSION_NUM >= 190000
#error "privacy_scan compiles against PostgreSQL 13 to 18"
#endif

// Of ExecutorRun_hook and PortalRun(). 18 left away whether it is the only run.
#if PG_VERSION_NUM >= 180000
#define PS_EXECUTOR_RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count
#define PS_EXECUTOR_RUN_ARGUMENTS query, direction, count
#define PS_PORTAL_RUN(portal, dest) PortalRun(portal, FETCH_ALL, true, dest, dest, nullptr)
#else
#define PS_EXECUTOR_RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count, bool execute_once
#define PS_EXECUTOR_RUN_ARGUMENTS query, direction, count, execute_once
#define PS_PORTAL_RUN(portal, dest) PortalRun(portal, FETCH_ALL, true, true, dest, dest, nullptr)
#endif

namespace privacy_scan::pg::compat
{

// From 15 on the triggers of a foreign key have parents, in those of the key that it is a part of.
inline void forget_parent_trigger(Relation catalog, Oid trigger, Oid partition)
{
#if PG_VERSION_NUM >= 150000
    TriggerSetParentTrigger(catalog, trigger, InvalidOid, partition);
#else
    (void)catalog, (void)trigger, (void)partition;
#endif
}

// object_ownercheck() replaced the functions per kind in 16.
inline bool owns_relation(Oid relid, Oid role)
{
#if PG_VERSION_NUM >= 160000
    return object_ownercheck(RelationRelationId, relid, role);
#else
    return pg_class_ownercheck(relid, role);
#endif
}

// 14 added the choice whether a partition being detached concurrently is left out. It is not: its range is
// not free before it is gone.
inline PartitionDesc partition_desc(Relation relation)
{
#if PG_VERSION_NUM >= 140000
    return RelationGetPartitionDesc(relation, false);
#else
    return RelationGetPartitionDesc(relation);
#endif
}

// Of a partition; an error where it is being detached concurrently, which 14 made possible.
inline Oid partition_parent(Oid partition)
{
#if PG_VERSION_NUM >= 140000
    return get_partition_parent(partition, false);
#else
    return get_partition_parent(partition);
#endif
}

// Where each column of `from` is found in `to`, by name. 16 added the choice of a column that is missing.
inline AttrMap *attribute_map(TupleDesc to, TupleDesc from)
{
#if PG_VERSION_NUM >= 160000
    return build_attrmap_by_name(to, from, false);
#else
    return build_attrmap_by_name(to, from);
#endif
}

// 15 reserves the prefix, so that a misspelt setting is an error; before, it was a warning.
inline void reserve_guc_prefix(const char *prefix)
{
#if PG_VERSION_NUM >= 150000
    MarkGUCPrefixReserved(prefix);
#else
    EmitWarningsOnPlaceholders(prefix);
#endif
}

// The oldest transaction whose snapshot may still see a dead row of the relation.
inline TransactionId oldest_xmin(Relation relation)
{
#if PG_VERSION_NUM >= 140000
    return GetOldestNonRemovableTransactionId(relation);
#else
    return GetOldestXmin(relation, PROCARRAY_FLAGS_VACUUM);
#endif
}

// An empty relation to rewrite a heap into, as CLUSTER makes it. 15 added the access method.
inline Oid make_transient_heap(Oid relid, Oid tablespace, [[maybe_unused]] Oid access_method,
                               char persistence)
{
#if PG_VERSION_NUM >= 150000
    return make_new_heap(relid, tablespace, access_method, persistence, AccessExclusiveLock);
#else
    return make_new_heap(relid, tablespace, persistence, AccessExclusiveLock);
#endif
}

// Makes a relation that this transaction created count as an older one with a new file, as CLUSTER leaves it.
// PostgreSQL takes for granted that nobody else sees rows in a relation of one's own transaction: it would
// not index, and prune, versions that only older snapshots see.
inline void admit_older_rows(Relation relation)
{
#if PG_VERSION_NUM >= 160000
    relation->rd_newRelfilelocatorSubid = relation->rd_createSubid;
    relation->rd_firstRelfilelocatorSubid = relation->rd_createSubid;
#else
    relation->rd_newRelfilenodeSubid = relation->rd_createSubid;
    relation->rd_firstRelfilenodeSubid = relation->rd_createSubid;
#endif
    relation->rd_createSubid = InvalidSubTransactionId;
}

// The snapshot to read TOAST relations with. 18 hands one out.
inline Snapshot toast_snapshot([[maybe_unused]] SnapshotData &storage)
{
#if PG_VERSION_NUM >= 180000
    return get_toast_snapshot();
#else
    init_toast_snapshot(&storage);
    return &storage;
#endif
}

// The size of what is stored of an external value. 14 put the compression method into the same word.
inline std::uint32_t external_size(const struct varatt_external &pointer)
{
#if PG_VERSION_NUM >= 140000
    return VARATT_EXTERNAL_GET_EXTSIZE(pointer);
#else
    return static_cast<std::uint32_t>(pointer.va_extsize);
#endif
}

// The raw parse trees of a text. 14 added the mode.
inline List *parse_sql(const char *sql)
{
#if PG_VERSION_NUM >= 140000
    return raw_parser(sql, RAW_PARSE_DEFAULT);
#else
    return raw_parser(sql);
#endif
}

// ANALYZE of one relation without its partitions: 18 has SQL for it, and then this is never called.
#if PG_VERSION_NUM >= 180000
constexpr bool has_analyze_only = true;
inline void analyze_relation(Oid, BufferAccessStrategy) {}
#else
constexpr bool has_analyze_only = false;
inline void analyze_relation(Oid relid, BufferAccessStrategy ring)
{
    VacuumParams params{};
    params.options = VACOPT_ANALYZE;
    params.log_min_duration = -1;
    analyze_rel(relid, nullptr, &params, NIL, true, ring);
}
#endif

// 14 gave numeric an infinity.
constexpr bool has_infinite_numeric = PG_VERSION_NUM >= 140000;

// A random number from [0, 1). 15 brought a generator of PostgreSQL's own.
inline double random_fraction()
{
#if PG_VERSION_NUM >= 150000
    return pg_prng_double(&pg_global_prng_state);
#else
    return static_cast<double>(random()) / 2147483648.0; // POSIX: up to 2^31 - 1
#endif
}

// The process of a holder of a lock, null where it is gone. 17 renamed backend IDs to proc numbers.
inline PGPROC *process_of(const VirtualTransactionId &holder)
{
#if PG_VERSION_NUM >= 170000
    return ProcNumberGetProc(holder.procNumber);
#else
    return BackendIdGetProc(holder.backendId);
#endif
}

// The oldest transaction that a snapshot of this process still needs. 14 moved it.
inline TransactionId own_xmin()
{
#if PG_VERSION_NUM >= 140000
    return MyProc->xmin;
#else
    return MyPgXact->xmin;
#endif
}

// The transactions of this database that hold a snapshot now, VACUUM's left out, which read nothing else.
inline VirtualTransactionId *holders_of_snapshots(int *count)
{
    return GetCurrentVirtualXIDs(InvalidTransactionId, true, false, PROC_IS_AUTOVACUUM | PROC_IN_VACUUM,
                                 count);
}

// Runs a prepared statement into a receiver. 14 lets SPI do it; before, the rows are gathered first.
inline int execute_into(SPIPlanPtr plan, ParamListInfo params, DestReceiver *receiver)
{
#if PG_VERSION_NUM >= 140000
    SPIExecuteOptions options{};
    options.params = params;
    options.dest = receiver;
    return SPI_execute_plan_extended(plan, &options);
#else
    const int code = SPI_execute_plan_with_paramlist(plan, params, false, 0);
    if (code < 0)
        return code;
    TupleTableSlot *slot = MakeSingleTupleTableSlot(SPI_tuptable->tupdesc, &TTSOpsHeapTuple);
    receiver->rStartup(receiver, code, SPI_tuptable->tupdesc);
    for (uint64 i = 0; i < SPI_processed; ++i) {
        ExecStoreHeapTuple(SPI_tuptable->vals[i], slot, false);
        receiver->receiveSlot(slot, receiver);
    }
    receiver->rShutdown(receiver);
    ExecDropSingleTupleTableSlot(slot);
    SPI_freetuptable(SPI_tuptable);
    return code;
#endif
}

// Puts a row that is in the heap into each index. 14 gave it the relation as an argument, 16 one for BRIN.
inline void insert_index_entries(ResultRelInfo *into, TupleTableSlot *slot, EState *executor)
{
#if PG_VERSION_NUM >= 160000
    list_free(ExecInsertIndexTuples(into, slot, executor, false, false, nullptr, NIL, false));
#elif PG_VERSION_NUM >= 140000
    list_free(ExecInsertIndexTuples(into, slot, executor, false, false, nullptr, NIL));
#else
    executor->es_result_relation_info = into;
    list_free(ExecInsertIndexTuples(slot, executor, false, nullptr, NIL));
#endif
}

// A scan of an index for rows. 18 can count what it does.
inline IndexScanDesc begin_index_scan(Relation table, Relation index, Snapshot snapshot, int keys)
{
#if PG_VERSION_NUM >= 180000
    return index_beginscan(table, index, snapshot, nullptr, keys, 0);
#else
    return index_beginscan(table, index, snapshot, keys, 0);
#endif
}

// Sends a message, waiting until it is in the queue. 15 added that the receiver be told at once.
inline shm_mq_result send_message(shm_mq_handle *queue, Size size, const void *data)
{
#if PG_VERSION_NUM >= 150000
    return shm_mq_send(queue, size, data, false, true);
#else
    return shm_mq_send(queue, size, data, false);
#endif
}

// Up to 13, what a constraint says of a row it refuses takes a range table.
constexpr bool has_loose_result_relations = PG_VERSION_NUM >= 140000;

// Has shared memory asked for: up to 14 at once, then in a hook. Returns the hook before, to be called.
using Procedure = void (*)(void);
inline Procedure on_shmem_request(Procedure request)
{
#if PG_VERSION_NUM >= 150000
    return std::exchange(shmem_request_hook, request);
#else
    request();
    return nullptr;
#endif
}

// Up to 14, SPI_commit() left starting the next transaction to its caller.
inline void commit_and_start()
{
    SPI_commit();
#if PG_VERSION_NUM < 150000
    SPI_start_transaction();
#endif
}

} // namespace privacy_scan::pg::compat
