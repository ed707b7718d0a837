// The rows that maintain_partitions(), ensure_partitions() and drain_default() return: what was done to which
// partition, what it cost, why it failed.
#pragma once

#include "partition/partition_policy.hpp"
#include "pg/lock.hpp"
#include "pg/rowset.hpp"

namespace privacy_scan::partition
{

struct Action {
    std::string partition; // qualified name, empty where none is meant
    std::optional<Cell> bounds;
    std::string action; // created, drained, left, failed, ...: see doc/partitions.md
    std::int64_t rows = 0;
    double ms = 0;
    pg::ErrorText error;
};

struct ReportedAction {
    Oid relid;
    Action action;
    std::string lower, upper; // the bounds as text
    pg::LockWait wait;        // since the row before
};

// Keeps the rows until they are handed over: what is rolled back before that must not be reported.
class Actions
{
  public:
    explicit Actions(FunctionCallInfo fcinfo) : sink_(std::in_place, fcinfo) {}
    Actions() = default; // for a procedure: a NOTICE instead of a row

    void add(const PartitionSet &set, const Action &action);
    void add_failure(Oid relid, const pg::ErrorText &error); // of a whole set

    // Runs the body in a subtransaction. Where it fails, its rows go; the error comes back.
    std::optional<pg::ErrorText> attempt(const std::function<void()> &body);

    // For those who wait for locks: the next row reports it.
    pg::LockWait &wait() { return wait_; }

    const std::vector<ReportedAction> &rows() const { return rows_; }

    // Hands the rows over: last in a function, whose result it returns; before each commit in a procedure.
    Datum finish();

  private:
    void put(Oid relid, const Action &action, const std::string &lower, const std::string &upper);

    std::optional<pg::RowSink> sink_;
    std::vector<ReportedAction> rows_;
    pg::LockWait wait_;
};

} // namespace privacy_scan::partition
