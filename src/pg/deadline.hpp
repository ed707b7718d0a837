// A limit on the time that a stretch of work may take, also over several transactions and in processes
// without statements of a client's, where statement_timeout does not act.
#pragma once

#include "pg/guard.hpp"

namespace privacy_scan::pg
{

// Counts from its making. While it is armed and the time is over, the running work is cancelled with 57014
// query_canceled, as by a user; has_expired() tells the two apart. One at a time in a process.
class Deadline
{
  public:
    explicit Deadline(std::int64_t milliseconds); // 0: never
    Deadline(const Deadline &) = delete;
    Deadline &operator=(const Deadline &) = delete;
    ~Deadline() { disarm(); }

    void arm();
    void disarm() noexcept; // also takes back a cancel of ours that has not been served
    bool has_expired() const;

  private:
    std::int64_t ends_at_; // timestamptz; 0: never
};

} // namespace privacy_scan::pg
