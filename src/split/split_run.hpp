// What a set's job does of its splits and merges: those that were left to it, and, where that was asked for,
// the ones that bring its partitions to the grid of the policy.
#pragma once

#include "split/split_steps.hpp"

namespace privacy_scan::split
{

// A stretch of the set, and what it is to become.
struct Misfit {
    Stretch stretch;
    std::vector<partition::Cell> cells;
};

// The stretches of a managed set that don't fit its grid, in order: adjacent partitions within one cell, and
// partitions that hold rows of several. At most so many. Errors: 42501, 42704.
std::vector<Misfit> find_misfits(pg::Spi &spi, Oid parent, std::size_t most);

// Asks for all of them to be split and merged in the background. False where that was asked for before.
bool request_reshape(pg::Spi &spi, Oid parent, bool drops_sources);
bool cancel_reshape(pg::Spi &spi, Oid parent); // false where nobody asked

// A slice of that work, a transaction at a time.
class SetRun
{
  public:
    explicit SetRun(Oid parent) : parent_(parent) {}

    // Rests, where the rate demands it, then does the next step of the split that is first. False where
    // nothing is left, where the slice of time is over, and where others are waited for.
    bool step(pg::Spi &spi);

    // What failed is kept where the view splits shows it, and comes last from now on.
    void keep_failure(pg::Spi &spi);

    const StepRow &last() const { return last_; }
    Oid relation() const { return relid_; } // the first source, or the set
    std::int64_t rows() const { return rows_; }
    std::int64_t pieces() const { return pieces_; }

  private:
    bool work(pg::Spi &spi);
    bool begin_next(pg::Spi &spi);
    void count(pg::Spi &spi);

    Oid parent_, relid_ = InvalidOid;
    std::optional<std::int64_t> begun_; // timestamptz
    StepRow last_{"looking for splits", {}, {}, 0, 0, 0, true, false, 0};
    std::optional<pg::ErrorText> failure_;
    double waited_ms_ = 0;
    std::int64_t rows_ = 0, pieces_ = 0;
};

} // namespace privacy_scan::split
