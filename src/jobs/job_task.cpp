// See job_task.hpp.
#include "pg/postgres.hpp"

#include "jobs/job_task.hpp"

#include "archive_file/drill.hpp"
#include "archive_file/file_run.hpp"
#include "archive_file/verification_run.hpp"
#include "monitor/monitor.hpp"
#include "partition/partition_maintain.hpp"
#include "pg/ident.hpp"
#include "retention/leaf_vacuum.hpp"
#include "retention/retention_run.hpp"
#include "settings/settings.hpp"
#include "split/split_run.hpp"

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
        tally_.partitions += action.action == "created" || action.action == "drained";
        tally_.rows += action.action == "drained" ? action.rows : 0;
        if (!action.error.sqlstate.empty() && !partial_failure_)
            partial_failure_ = action.error;
    }

    Oid relid_;
    Instant at_;
    bool drains_ = false;
};

// Archives what has expired, then goes on with the files of archives.
class RetentionTask : public Task
{
  public:
    RetentionTask(pg::Spi &spi, Oid root, Instant at)
        : root_(root), run_(spi, root, at, settings::retention_batch_rows()), files_(spi, root)
    {
    }

    bool step(pg::Spi &spi) override
    {
        if (run_.is_done())
            return follow(spi);
        if (!std::exchange(is_begun_, true)) {
            run_.refuse_quiet(spi);
            run_.count_families(spi);
        }
        run_.step(spi);
        tally_.rows = run_.rows();
        if (run_.is_done())
            vacuum_.emplace(run_.thinned(), run_.emptied());
        return true;
    }

    void finish(pg::Spi &spi) override
    {
        if (!is_analyzed_)
            run_.analyze(spi);
    }

    Progress progress() const override
    {
        const bool vacuums = vacuum_ && OidIsValid(vacuum_->chosen());
        return {phase(vacuums), vacuums ? vacuum_->chosen() : root_, run_.rows(), run_.estimated_rows()};
    }

    std::vector<Oid> relations() const override { return run_.relations(); }

  private:
    // What is left to do once the rows are moved. A statement of its own process comes first in its step.
    bool follow(pg::Spi &spi)
    {
        if (!is_vacuumed_)
            is_vacuumed_ = !vacuum_->step(spi);
        else if (!files_.is_done())
            files_.step(spi);
        else if (!std::exchange(is_analyzed_, true))
            run_.analyze(spi);
        else
            run_.count_next(spi); // last: it may take all the time that is left
        tally_.rows = run_.rows();
        partial_failure_ = files_.failure() ? files_.failure() : run_.failure();
        return !is_vacuumed_ || !files_.is_done() || !is_analyzed_ || !run_.is_counted();
    }

    const char *phase(bool vacuums) const
    {
        if (!run_.is_done())
            return run_.phase();
        return vacuums                ? "vacuuming"
               : !files_.is_done()    ? "exporting archives"
               : !is_analyzed_        ? "analyzing"
                                      : run_.phase();
    }

    Oid root_;
    retention::RootRun run_;
    std::optional<retention::LeafVacuum> vacuum_; // once nothing is left to be moved
    archive_file::FileRun files_;
    bool is_begun_ = false, is_vacuumed_ = false, is_analyzed_ = false;
};

// Relation by relation, ANALYZE with the rights of each one's owner.
class StatisticsTask : public Task
{
  public:
    StatisticsTask(pg::Spi &spi, Instant at) : run_(spi, InvalidOid, at) {}

    bool step(pg::Spi &spi) override
    {
        for (const monitor::StatisticsRow &row : run_.step(spi)) {
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

// Archive by archive of the sample.
class VerificationTask : public Task
{
  public:
    explicit VerificationTask(pg::Spi &spi) : run_(spi) {}

    bool step(pg::Spi &spi) override
    {
        if (run_.is_done())
            return false;
        run_.step(spi);
        tally_.rows = run_.rows();
        partial_failure_ = run_.failure();
        return !run_.is_done();
    }

    Progress progress() const override
    {
        return {"verifying archives", pg::own_relation("archive_ledger"), run_.done(), run_.total()};
    }

    std::vector<Oid> relations() const override { return {pg::own_relation("archive_ledger")}; }

  private:
    archive_file::VerificationRun run_;
};

// Archive by archive, brought back and dropped again.
class DrillTask : public Task
{
  public:
    explicit DrillTask(pg::Spi &spi) : ids_(archive_file::next_drills(spi)) {}

    bool step(pg::Spi &spi) override
    {
        if (next_ == ids_.size())
            return false;
        const archive_file::Drill drill = archive_file::run_drill(spi, ids_[next_++]);
        tally_.rows += drill.found_rows.value_or(0);
        if (drill.has_failed() && !partial_failure_)
            partial_failure_ = about(drill);
        return next_ < ids_.size();
    }

    Progress progress() const override
    {
        return {"restoring as a drill", pg::own_relation("archive_ledger"), static_cast<std::int64_t>(next_),
                static_cast<std::int64_t>(ids_.size())};
    }

    std::vector<Oid> relations() const override { return {pg::own_relation("archive_ledger")}; }

  private:
    static pg::ErrorText about(const archive_file::Drill &drill)
    {
        return pg::text_of(pg::Error{ERRCODE_DATA_CORRUPTED,
                                     "archive " + std::to_string(drill.entry.id) +
                                         " did not come back from its " + drill.place + ": " + drill.state +
                                         ", " + drill.detail,
                                     {},
                                     "The view privacy_scan.archive_drills shows it."});
    }

    std::vector<std::int64_t> ids_;
    std::size_t next_ = 0;
};

// A slice of the splits and merges that were left to the job.
class SplitsTask : public Task
{
  public:
    explicit SplitsTask(Oid parent) : parent_(parent), run_(parent) {}

    bool step(pg::Spi &spi) override
    {
        const bool more = run_.step(spi);
        tally_.rows = run_.rows();
        tally_.partitions = run_.pieces();
        return more;
    }

    void finish(pg::Spi &spi) override { run_.keep_failure(spi); }

    Progress progress() const override
    {
        const split::StepRow &last = run_.last();
        return {last.step.c_str(), OidIsValid(run_.relation()) ? run_.relation() : parent_, last.done,
                last.total > 0 ? std::optional(last.total) : std::nullopt};
    }

    std::vector<Oid> relations() const override
    {
        return OidIsValid(run_.relation()) ? std::vector<Oid>{parent_, run_.relation()}
                                           : std::vector<Oid>{parent_};
    }

  private:
    Oid parent_;
    split::SetRun run_;
};

} // namespace

std::unique_ptr<Task> make_task(pg::Spi &spi, JobKey key, Instant at)
{
    if (key.kind == Kind::partitions)
        return std::make_unique<PartitionsTask>(key.relid, at);
    if (key.kind == Kind::statistics)
        return std::make_unique<StatisticsTask>(spi, at);
    if (key.kind == Kind::verification)
        return std::make_unique<VerificationTask>(spi);
    if (key.kind == Kind::drill)
        return std::make_unique<DrillTask>(spi);
    if (key.kind == Kind::splits)
        return std::make_unique<SplitsTask>(key.relid);
    retention::refuse_future(at);
    return std::make_unique<RetentionTask>(spi, key.relid, at);
}

} // namespace privacy_scan::jobs
