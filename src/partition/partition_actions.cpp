// See partition_actions.hpp.
#include "partition/partition_actions.hpp"

#include "pg/ident.hpp"

namespace privacy_scan::partition
{

using pg::cell;

namespace
{

// To a microsecond.
double rounded(double ms)
{
    return static_cast<double>(static_cast<std::int64_t>(ms * 1000 + 0.5)) / 1000;
}

void notify(Oid relid, const Action &action)
{
    const std::string name = action.partition.empty() ? pg::qualified_name(relid) : action.partition;
    const char *about = name.c_str(), *what = action.action.c_str(), *message = action.error.message.c_str(),
               *code = action.error.sqlstate.c_str();
    auto rows = static_cast<long long>(action.rows);
    const double ms = action.ms;
    pg::guarded([=] {
        if (*code)
            ereport(WARNING, (errmsg("%s: %s with SQLSTATE %s: %s", about, what, code, message)));
        else
            ereport(NOTICE, (errmsg("%s: %s, %lld rows, %.1f ms", about, what, rows, ms),
                             *message ? errdetail_internal("%s", message) : 0));
    });
}

std::vector<pg::Cell> cells_of(const ReportedAction &row)
{
    const Action &action = row.action;
    return {pg::cell_oid(row.relid),   cell(action.partition),
            cell(row.lower),           cell(row.upper),
            cell(action.action),       cell(action.rows),
            cell(rounded(action.ms)),  cell(rounded(row.wait.waited_ms)),
            cell(row.wait.blocked_by), cell(action.error.sqlstate),
            cell(action.error.message)};
}

} // namespace

std::optional<pg::ErrorText> Actions::attempt(const std::function<void()> &body)
{
    const std::size_t before = rows_.size();
    auto failure = pg::try_in_subtransaction(body);
    if (failure)
        rows_.resize(before);
    return failure;
}

Datum Actions::finish()
{
    for (const ReportedAction &row : rows_)
        if (sink_)
            sink_->put(cells_of(row));
        else
            notify(row.relid, row.action);
    rows_.clear();
    return Datum(0);
}

void Actions::put(Oid relid, const Action &action, const std::string &lower, const std::string &upper)
{
    rows_.push_back({relid, action, lower, upper, std::exchange(wait_, {})});
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

} // namespace privacy_scan::partition
