// Deleted rows straight into their archive: they are written by the page, as COPY does it, and read back.
// Spares the tuple stores of INSERT .. SELECT; for plain archives only, where nothing but the rows takes
// part.
#pragma once

#include "pg/spi.hpp"
#include "retention/row_shape.hpp"

namespace privacy_scan::retention
{

struct ArchiveSink;

class ArchiveWriter
{
  public:
    // True for an ordinary table without index, constraint, trigger, rule, policy or default (others may
    // inherit), to which the current user may write: an INSERT would do no more than write the rows. The lock
    // taken keeps it so.
    static bool can_write(Oid archive);

    // Opens the archive. Everything ends with finish(), or with the subtransaction where an error flies.
    explicit ArchiveWriter(Oid archive);
    ArchiveWriter(const ArchiveWriter &) = delete;
    ArchiveWriter &operator=(const ArchiveWriter &) = delete;

    // What a DELETE .. RETURNING gives its rows to: first tableoid, then columns by the archive's names.
    DestReceiver *receiver();

    // Writes what is left and closes the archive.
    void finish();

    const RowTotal &deleted() const; // as they came
    const RowTotal &written() const; // as they were read back from the archive
    std::vector<Oid> leaves() const; // the tables that the rows came from

  private:
    ArchiveSink *sink_;
};

} // namespace privacy_scan::retention
