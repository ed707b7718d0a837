// Errors on the C++ side of the boundary. Two kinds: Error, which our own code throws, and PgError, which
// guarded() throws in place of an ereport. Both become an ordinary SQL error at the entry (entry.hpp).
#pragma once

#include "pg/postgres.hpp"

namespace privacy_scan::pg
{

// An error of our own: SQLSTATE and texts as ereport takes them (message: lower case, no full stop; detail
// and hint: sentences).
struct Error {
    int sqlstate;
    std::string message;
    std::string detail;
    std::string hint;
};

[[noreturn]] void fail(int sqlstate, std::string message, std::string detail = {}, std::string hint = {});

// An ereport(ERROR) caught by guarded(). Its data lies in a memory context of its own that lives as long as
// the door's (entry.hpp), whatever is rolled back meanwhile. The server's state is that of a failed
// (sub)transaction: either let it fly to the entry, or roll back a subtransaction that was begun before.
// Nothing else.
class PgError
{
  public:
    explicit PgError(ErrorData *data) noexcept : data_(data) {}

    int sqlstate() const { return data_->sqlerrcode; }
    const char *message() const { return data_->message ? data_->message : ""; }
    const char *detail() const { return data_->detail ? data_->detail : ""; }
    const char *hint() const { return data_->hint ? data_->hint : ""; }
    const char *context() const { return data_->context ? data_->context : ""; }

    // For the entry alone, which hands it back to PostgreSQL.
    ErrorData *data() const { return data_; }

    // Frees the data. By whoever has rolled back and goes on, so that a long run of failures holds no memory.
    void discard() const;

  private:
    ErrorData *data_;
};

// An error as plain texts, kept beyond the subtransaction that it ended.
struct ErrorText {
    std::string sqlstate; // five characters
    std::string message;  // on one line, with detail and hint
    Error error;
};

// Throws it again, as an Error, its parts as they were.
[[noreturn]] void raise(const ErrorText &text);

ErrorText text_of(const PgError &error);
ErrorText text_of(const Error &error);

} // namespace privacy_scan::pg
