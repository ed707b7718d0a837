// See job_task.hpp.
#include "pg/postgres.hpp"

#include "jobs/job_task.hpp"

#include "monitor/monitor.hpp"
#include "partition/partition_maintain.hpp"
#include "pg/ident.hpp"
#include "retention/retention_run.hpp"
#include "settings/settings.hpp"

namespace privacy_scan::jobs
{

namespace
{

// Creates ahead, then drains DEFAULT batch by batch.
class PartitionsTask : public Task
{
  public:
    PartitionsTask(Oid relid, Instant at) : relid_(relid), at_(at) {}

    bool step(pg::Spi &spi) override
    {
        partition::Actions actions;
        partition::maintain_one(spi, relid_, at_, actions);
        bool drained = false;
        for (const partition::ReportedAction &row : actions.rows()) {
            drained |= row.action.action == "drained";
            add(row);
        }
        actions.finish();
        drains_ = drained && !partial_failure_;
        return drains_;
    }

    Progress progress() const override
    {
        return drains_ ? Progress{"draining", relid_, tally_.rows, std::nullopt}
                       : Progress{"creating ahead", relid_, tally_.partitions, std::nullopt};
    }

    std::vector<Oid> relations() const override { return {relid_}; }

  private:
    void add(const partition::ReportedAction &row)
    {
        const partition::Action &action = row.action;
        tally_.lock_wait_ms += row.wait.waited_ms;
        tally_.partitions += action.action == "created" || action.action == "drained";
        tally_.rows += action.action == "drained" ? action.rows : 0;
        if (!action.error.sqlstate.empty() && !partial_failure_)
            partial_failure_ = action.error;
    }

    Oid relid_;
    Instant at_;
    bool drains_ = false;
};

class RetentionTask : public Task
{
  public:
    RetentionTask(pg::Spi &spi, Oid root, Instant at)
        : root_(root), run_(spi, root, at, settings::retention_batch_rows())
    {
    }

    bool step(pg::Spi &spi) override
    {
        if (!std::exchange(is_begun_, true)) {
            run_.refuse_quiet(spi);
            run_.count_families(spi);
        }
        run_.step(spi);
        tally_.rows = run_.rows();
        return !run_.is_done();
    }

    void finish(pg::Spi &spi) override { run_.analyze(spi); }

    Progress progress() const override
    {
        return {run_.is_done() ? "analyzing" : run_.phase(), root_, run_.rows(), run_.estimated_rows()};
    }

    std::vector<Oid> relations() const override { return run_.relations(); }

  private:
    Oid root_;
    retention::RootRun run_;
    bool is_begun_ = false;
};

// Relation by relation, ANALYZE with the rights of each one's owner.
class StatisticsTask : public Task
{
  public:
    StatisticsTask(pg::Spi &spi, Instant at) : run_(spi, InvalidOid, at) {}

    bool step(pg::Spi &spi) override
    {
        for (const monitor::StatisticsRow &row : run_.step(spi)) {
            tally_.lock_wait_ms += row.wait.waited_ms;
            if (!row.error.sqlstate.empty() && !partial_failure_)
                partial_failure_ = about(row);
        }
        return !run_.is_done();
    }

    Progress progress() const override
    {
        const Oid next = run_.next_relation();
        return {"sampling", OidIsValid(next) ? next : monitor::samples_table(),
                static_cast<std::int64_t>(run_.done()), static_cast<std::int64_t>(run_.total())};
    }

    std::vector<Oid> relations() const override { return {monitor::samples_table()}; }

  private:
    // The error with the relation's name, which the job's own does not tell.
    static pg::ErrorText about(const monitor::StatisticsRow &row)
    {
        pg::ErrorText text = row.error;
        text.message = pg::qualified_name(row.relid) + ": " + text.message;
        text.error.message = text.message;
        return text;
    }

    monitor::StatisticsRun run_;
};

} // namespace

std::unique_ptr<Task> make_task(pg::Spi &spi, JobKey key, Instant at)
{
    if (key.kind == Kind::partitions)
        return std::make_unique<PartitionsTask>(key.relid, at);
    if (key.kind == Kind::statistics)
        return std::make_unique<StatisticsTask>(spi, at);
    retention::refuse_future(at);
    return std::make_unique<RetentionTask>(spi, key.relid, at);
}

} // namespace privacy_scan::jobs
