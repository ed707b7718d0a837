// See read_back.hpp.
#include "pg/postgres.hpp"

#include "archive_file/read_back.hpp"

#include "archive_file/row_text.hpp"
#include "pg/compat.hpp"
#include "pg/entry.hpp"
#include "pg/relation.hpp"

extern "C" {
#include <access/transam.h>
#include <access/xact.h>
#include <catalog/pg_proc_d.h>
#include <catalog/pg_type_d.h>
#include <miscadmin.h>
#include <optimizer/paths.h>
#include <storage/bufmgr.h>
#include <storage/proc.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::archive_file
{

struct SideReader::Shared {
    Oid relid;
    bool is_done;
    std::int64_t bytes;
    char sha256[65];
    retention::RowTotal total;
};

namespace
{

constexpr std::uint64_t key_of_shared = 1, key_of_queue = 2; // in the table of contents
constexpr std::size_t queue_bytes = 1024 * 1024;

retention::RowTotal read_rows(Relation table, ContentReader &reader)
{
    retention::RowTotal total{};
    CsvRow row;
    reader.next(row);
    RowParser *parser = pg::guarded([&] { return make_parser(RelationGetDescr(table), &row); });
    while (reader.next(row))
        pg::guarded([&] {
            parse_row(parser, &row);
            retention::add_row(&total, parser->shape, parser->values, parser->nulls);
        });
    return total;
}

FileContent read_content(Relation table, Source bytes)
{
    ContentReader reader(std::move(bytes));
    FileContent content;
    content.total = read_rows(table, reader);
    content.facts = reader.facts();
    return content;
}

// Red. Types of extensions may be made of others, whose functions nobody has looked at.
bool is_safe(Oid type)
{
    const char kind = get_typtype(type);
    const Oid element = get_element_type(type);
    if (OidIsValid(element))
        return is_safe(element);
    if (kind == TYPTYPE_ENUM || (kind != TYPTYPE_DOMAIN && kind != TYPTYPE_COMPOSITE && type < FirstNormalObjectId))
        return true;
    Oid input, parameter, output;
    bool is_varlena;
    if (kind != TYPTYPE_BASE)
        return false;
    getTypeInputInfo(type, &input, &parameter);
    getTypeOutputInfo(type, &output, &is_varlena);
    return func_parallel(input) == PROPARALLEL_SAFE && func_parallel(output) == PROPARALLEL_SAFE;
}

// Red.
bool are_safe(TupleDesc desc)
{
    for (int i = 0; i < desc->natts; ++i)
        if (!TupleDescAttr(desc, i)->attisdropped && !is_safe(TupleDescAttr(desc, i)->atttypid))
            return false;
    return true;
}

// Red. The worker is given up.
void leave(ParallelContext *context)
{
    DestroyParallelContext(context);
    ExitParallelMode();
}

struct Started {
    ParallelContext *context;
    SideReader::Shared *shared;
    shm_mq_handle *queue;
};

// Red. No context where no worker is free.
Started launch(Oid relid)
{
    EnterParallelMode();
    ParallelContext *context = CreateParallelContext("privacy_scan", "ps_read_back_main", 1);
    shm_toc_estimate_chunk(&context->estimator, sizeof(SideReader::Shared));
    shm_toc_estimate_chunk(&context->estimator, queue_bytes);
    shm_toc_estimate_keys(&context->estimator, 2);
    InitializeParallelDSM(context);
    auto *shared = static_cast<SideReader::Shared *>(shm_toc_allocate(context->toc, sizeof(SideReader::Shared)));
    *shared = {relid, false, 0, {}, {}};
    shm_mq *queue = shm_mq_create(shm_toc_allocate(context->toc, queue_bytes), queue_bytes);
    shm_toc_insert(context->toc, key_of_shared, shared);
    shm_toc_insert(context->toc, key_of_queue, queue);
    shm_mq_set_sender(queue, MyProc);
    LaunchParallelWorkers(context);
    if (context->nworkers_launched == 0) {
        leave(context);
        return {};
    }
    return {context, shared, shm_mq_attach(queue, context->seg, context->worker[0].bgwhandle)};
}

// In the worker: the bytes in the order in which they are sent.
class Received
{
  public:
    explicit Received(shm_mq_handle *queue) : queue_(queue) {}

    // The sender says nothing more at its end, or where it ends; then the frame of zstd is incomplete.
    std::size_t read(char *data, std::size_t most)
    {
        if (at_ == size_ && !next())
            return 0;
        const std::size_t size = std::min(most, size_ - at_);
        memcpy(data, message_ + at_, size);
        at_ += size;
        return size;
    }

  private:
    bool next()
    {
        void *message = nullptr;
        const auto result = pg::guarded([&] { return shm_mq_receive(queue_, &size_, &message, false); });
        message_ = static_cast<const char *>(message);
        at_ = 0;
        size_ = result == SHM_MQ_SUCCESS ? size_ : 0;
        return size_ > 0;
    }

    shm_mq_handle *queue_;
    const char *message_ = nullptr;
    Size size_ = 0;
    std::size_t at_ = 0;
};

// In the worker: the argument is the segment's table of contents, beside it the segment.
Datum read_beside(FunctionCallInfo fcinfo)
{
    auto *toc = reinterpret_cast<shm_toc *>(PG_GETARG_POINTER(0));
    auto *segment = reinterpret_cast<dsm_segment *>(PG_GETARG_POINTER(1));
    auto *shared = static_cast<SideReader::Shared *>(shm_toc_lookup(toc, key_of_shared, false));
    shm_mq_handle *queue = pg::guarded([=] {
        auto *place = static_cast<shm_mq *>(shm_toc_lookup(toc, key_of_queue, false));
        shm_mq_set_receiver(place, MyProc);
        return shm_mq_attach(place, segment, nullptr);
    });
    const pg::RelationScope table(shared->relid, AccessShareLock);
    Received bytes(queue);
    with_sql_errors([&] {
        const FileContent content =
            read_content(table.get(), [&](char *data, std::size_t most) { return bytes.read(data, most); });
        shared->bytes = content.facts.bytes;
        content.facts.sha256.copy(shared->sha256, sizeof shared->sha256 - 1);
        shared->total = content.total;
        shared->is_done = true;
    });
    return Datum(0);
}

} // namespace

FileContent read_back(Oid relid, int directory, const std::string &name)
{
    const pg::RelationScope table(relid, NoLock);
    const Descriptor file = open_private_file(directory, name);
    return read_content(table.get(), [&](char *data, std::size_t size) { return read_some(file.get(), data, size); });
}

bool is_large(Oid relid)
{
    const pg::RelationScope table(relid, NoLock);
    return max_parallel_maintenance_workers > 0 && pg::guarded([&] {
               return RelationGetNumberOfBlocks(table.get()) >=
                      static_cast<BlockNumber>(min_parallel_table_scan_size);
           });
}

std::unique_ptr<SideReader> SideReader::start(Oid relid)
{
    const pg::RelationScope table(relid, NoLock);
    const Started started =
        pg::guarded([&] { return are_safe(RelationGetDescr(table.get())) ? launch(relid) : Started{}; });
    if (!started.context)
        return nullptr;
    return std::unique_ptr<SideReader>(new SideReader(started.context, started.shared, started.queue));
}

// Where the worker ended, finish() raises its error.
void SideReader::add(const char *data, std::size_t size)
{
    if (queue_ && pg::guarded([=] { return pg::compat::send_message(queue_, size, data); }) != SHM_MQ_SUCCESS)
        queue_ = nullptr;
}

FileContent SideReader::finish()
{
    pg::guarded([this] {
        if (queue_)
            shm_mq_detach(queue_);
        WaitForParallelWorkersToFinish(context_);
    });
    if (!shared_->is_done)
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "the archive file was not read back to its end");
    const FileContent content{{shared_->bytes, shared_->sha256}, shared_->total};
    pg::guarded([this] { leave(context_); });
    return content;
}

} // namespace privacy_scan::archive_file

extern "C" {

// The worker's work: PostgreSQL calls it in the transaction, with the role, settings and snapshot of its leader.
PGDLLEXPORT void ps_read_back_main(dsm_segment *segment, shm_toc *toc);
void ps_read_back_main(dsm_segment *segment, shm_toc *toc)
{
    LOCAL_FCINFO(fcinfo, 2);
    InitFunctionCallInfoData(*fcinfo, nullptr, 2, InvalidOid, nullptr, nullptr);
    fcinfo->args[0] = {PointerGetDatum(toc), false};
    fcinfo->args[1] = {PointerGetDatum(segment), false};
    (void)privacy_scan::pg::enter(privacy_scan::archive_file::read_beside, fcinfo);
}
}
