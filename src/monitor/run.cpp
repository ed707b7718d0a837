// StatisticsRun: relation by relation, a failure being a row.
#include "pg/postgres.hpp"

#include "monitor/monitor.hpp"

#include "monitor/samples.hpp"
#include "pg/analyze.hpp"
#include "pg/clock.hpp"
#include "pg/ident.hpp"

extern "C" {
#include <catalog/pg_inherits.h>
#include <utils/lsyscache.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::monitor
{

namespace
{

bool is_gone(Oid relid)
{
    return pg::guarded([=] { return get_rel_relkind(relid) == '\0'; });
}

// The relation and all below it, as far as they are there: where somebody's lock may be in the way.
std::vector<Oid> tree_of(Oid relid)
{
    const List *relids = pg::guarded([=] { return find_all_inheritors(relid, NoLock, nullptr); });
    std::vector<Oid> tree;
    for (int i = 0; i < list_length(relids); ++i)
        tree.push_back(list_nth_oid(relids, i));
    return tree;
}

// Runs one step and keeps its row, if there is something to say.
bool step(StatisticsReport &report, StatisticsRow row, const std::function<bool(StatisticsRow &)> &body)
{
    const TimestampTz begun = GetCurrentTimestamp();
    bool is_news = true;
    auto failure = pg::try_with_locks(tree_of(row.relid), row.wait, [&] { is_news = body(row); });
    if (failure && is_gone(row.relid))
        return false;
    if (failure) {
        row.action = "failed";
        row.error = *failure;
    }
    row.ms = pg::ms_since(begun) - row.wait.waited_ms;
    if (failure || is_news)
        report.push_back(row);
    return !failure;
}

bool analyze(pg::Spi &spi, StatisticsRow &row)
{
    const pg::OwnedTable table = pg::require_owner(row.relid);
    pg::lock_owned(table, ShareUpdateExclusiveLock);
    {
        pg::OwnerScope owner(table.owner);
        pg::analyze_alone(spi, table.relid);
    }
    set_analyzed(spi, table.relid);
    return true;
}

void run_one(pg::Spi &spi, const Watched &watched, std::int64_t at, StatisticsReport &report)
{
    Measure measured{};
    StatisticsRow sampled;
    sampled.relid = watched.relid;
    sampled.action = "sampled";
    const bool done = step(report, sampled, [&](StatisticsRow &row) {
        measured = measure(spi, watched);
        add_relation_sample(spi, watched.relid, measured, at);
        row.rows = measured.rows;
        row.bytes = measured.bytes;
        row.changes = measured.changes;
        return true;
    });
    if (!done)
        return;
    for (Oid relid : measured.due) {
        StatisticsRow analyzed;
        analyzed.relid = relid;
        analyzed.action = "analyzed";
        step(report, analyzed, [&](StatisticsRow &row) { return analyze(spi, row); });
    }
}

// Before everything else: samples need their partition. Where it cannot be made the parents are analysed all
// the same.
void run_own(pg::Spi &spi, std::int64_t at, bool with_database, StatisticsReport &report)
{
    StatisticsRow own;
    own.relid = samples_table();
    own.action = "dropped";
    step(report, own, [&](StatisticsRow &row) {
        forget_dropped(spi);
        row.rows = maintain_samples(spi, at);
        if (with_database)
            add_database_sample(spi, at);
        return *row.rows > 0;
    });
}

} // namespace

StatisticsRun::StatisticsRun(pg::Spi &spi, Oid relation, std::int64_t at) : relation_(relation), at_(at)
{
    if (!OidIsValid(relation))
        return;
    pg::require_owner(relation);
    list_ = {watched_relation(spi, relation)};
}

StatisticsReport StatisticsRun::step(pg::Spi &spi)
{
    StatisticsReport report;
    if (begun_) {
        run_one(spi, list_[next_++], at_, report);
        return report;
    }
    const bool is_whole = !OidIsValid(relation_);
    run_own(spi, at_, is_whole, report);
    if (is_whole)
        list_ = watched_relations(spi); // now that the samples are a partition set themselves
    begun_ = true;
    return report;
}

} // namespace privacy_scan::monitor
