// The work of a job, a transaction at a time.
#pragma once

#include "jobs/job_log.hpp"
#include "jobs/progress.hpp"

#include <memory>

namespace privacy_scan::jobs
{

class Task
{
  public:
    virtual ~Task() = default;

    // Does the next part in the caller's transaction, which then commits. False where it was the last. What
    // it throws ends the run, its transaction being rolled back.
    virtual bool step(pg::Spi &spi) = 0;

    // After the last step, also where one has failed.
    virtual void finish(pg::Spi &) {}

    // What the next step is about to do.
    virtual Progress progress() const = 0;

    // Whose locks can be in the way of it, for the report on who was.
    virtual std::vector<Oid> relations() const = 0;

    const Tally &tally() const { return tally_; }

    // What went wrong in parts that did not take the others with them.
    const std::optional<pg::ErrorText> &partial_failure() const { return partial_failure_; }

  protected:
    Tally tally_;
    std::optional<pg::ErrorText> partial_failure_;
};

// Errors: those of the room that does the work. The caller must own the relation.
std::unique_ptr<Task> make_task(pg::Spi &spi, JobKey key, Instant at);

} // namespace privacy_scan::jobs
