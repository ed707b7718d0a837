// See partition_actions.hpp.
#include "partition/partition_actions.hpp"

namespace privacy_scan::partition
{

using pg::cell;

namespace
{

void notify(const Action &action)
{
    const char *partition = action.partition.c_str(), *what = action.action.c_str(),
               *message = action.error.message.c_str();
    auto rows = static_cast<long long>(action.rows);
    const double ms = action.ms;
    pg::guarded([=] {
        ereport(NOTICE, (errmsg("%s: %s, %lld rows, %.1f ms", partition, what, rows, ms),
                         *message ? errdetail_internal("%s", message) : 0));
    });
}

} // namespace

void Actions::put(Oid relid, const Action &action, const std::string &lower, const std::string &upper)
{
    if (!sink_)
        return notify(action);
    sink_->put({pg::cell_oid(relid), cell(action.partition), cell(lower), cell(upper), cell(action.action),
               cell(action.rows), cell(action.ms), cell(action.wait.waited_ms), cell(action.wait.blocked_by),
               cell(action.error.sqlstate), cell(action.error.message)});
}

void Actions::add(const PartitionSet &set, const Action &action)
{
    std::string lower, upper;
    if (action.bounds) {
        lower = set.key().text_of(action.bounds->lower);
        upper = set.key().text_of(action.bounds->upper);
    }
    put(set.table().relid, action, lower, upper);
}

void Actions::add_failure(Oid relid, const pg::ErrorText &error)
{
    Action action;
    action.action = "failed";
    action.error = error;
    put(relid, action, {}, {});
}

void Actions::add_note(Oid relid, const std::string &what, const std::string &message)
{
    Action action;
    action.action = what;
    action.error.message = message;
    put(relid, action, {}, {});
}

} // namespace privacy_scan::partition
