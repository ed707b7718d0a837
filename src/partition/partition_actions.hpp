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

class Actions
{
  public:
    explicit Actions(FunctionCallInfo fcinfo) : sink_(std::in_place, fcinfo) {}
    Actions() = default; // for a procedure: a NOTICE instead of a row

    void add(const PartitionSet &set, const Action &action);
    void add_failure(Oid relid, const pg::ErrorText &error); // of a whole set
    void add_note(Oid relid, const std::string &action, const std::string &message);

    // Runs the body in a subtransaction. What it added is reported only if it succeeds.
    std::optional<pg::ErrorText> attempt(const std::function<void()> &body);

    // For those who wait for locks. The next row reports it.
    pg::LockWait &wait() { return wait_; }

  private:
    struct Row {
        Oid relid;
        Action action;
        std::string lower, upper;
        pg::LockWait wait;
    };
    void put(Row row);
    void report(const Row &row);

    std::optional<pg::RowSink> sink_;
    pg::LockWait wait_;
    std::vector<Row> held_; // while attempts are under way
    int attempts_ = 0;
};

} // namespace privacy_scan::partition
