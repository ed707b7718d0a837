// What the bytes of an archive file hold, as the proof of an export has it: decompressed, parsed, turned into
// values by the input functions of their types, and digested.
#pragma once

#include "archive_file/file_stream.hpp"
#include "retention/row_shape.hpp"

#include <memory>

extern "C" {
#include <access/parallel.h>
#include <storage/shm_mq.h>
}

namespace privacy_scan::archive_file
{

// The bytes, and the rows in them.
struct FileContent {
    FileFacts facts;
    retention::RowTotal total{};
};

// Of a file on disk that holds rows of a table, which is locked. Errors: those of the file and of the types.
FileContent read_back(Oid relid, int directory, const std::string &name);

// Whether a table is so large that its export is worth a thread and a process more: from
// min_parallel_table_scan_size on, where max_parallel_maintenance_workers allows any.
bool is_large(Oid relid);

// The same of bytes as they are written, by a parallel worker of PostgreSQL's. As strong a proof as reading the file back, once
// the SHA-256 of the file on disk, read after it was made durable under its name, is found equal to that of
// the bytes that were given here:
// - what output functions, quoting, compression or input functions lose is in the bytes, and the worker
//   decodes those from the beginning, by the same code and with the same digest;
// - what goes wrong between the bytes and the disk gives the file another SHA-256;
// - what goes wrong on the way to the worker gives these bytes another one.
// Two SHA-256 that are equal are of the same bytes, so that the rows are those of the file.
//
// From the constructor to finish() the transaction is in parallel mode: tables are read, and nothing is
// written. Where an error flies, the end of the (sub)transaction ends the worker.
class SideReader
{
  public:
    // None where no worker is free, or where a column's type has functions of which it isn't known that they may run in one:
    // those of built-in types and enums may, and those of base types that say so. The table is locked; a
    // snapshot is active.
    static std::unique_ptr<SideReader> start(Oid relid);

    void add(const char *data, std::size_t size);
    FileContent finish();

    struct Shared; // memory that both see

  private:
    SideReader(ParallelContext *context, Shared *shared, shm_mq_handle *queue)
        : context_(context), shared_(shared), queue_(queue)
    {
    }

    ParallelContext *context_;
    Shared *shared_;
    shm_mq_handle *queue_;
};

} // namespace privacy_scan::archive_file
