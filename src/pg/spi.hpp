// SQL from blue code: statements with typed parameters, rows as plain values.
#pragma once

#include "pg/extension.hpp"
#include "pg/guard.hpp"

extern "C" {
#include <catalog/pg_type_d.h>
#include <executor/spi.h>
#include <utils/builtins.h>
}

namespace privacy_scan::pg
{

// A typed parameter. Built by the functions below; the datum lives in the context current at the call.
struct Param {
    Oid type;
    Datum value;
    bool is_null;
};

Param null_param(Oid type);
Param text_param(std::string_view text);
Param text_or_null(const std::string &text); // an empty string is NULL
Param datum_param(Oid type, Datum value);
Param int8_param(std::int64_t value);
Param int4_param(std::int32_t value);
Param float8_param(double value);
Param bool_param(bool value);
Param oid_param(Oid value);
Param oids_param(const std::vector<Oid> &values); // for = ANY
Param regclass_param(Oid value);
Param timestamptz_param(std::int64_t value);

// The rows of one statement, freed with the object; while an exception flies, with the subtransaction or the
// SPI connection. Must not outlive its connection. Columns are counted from 1, rows from 0.
class Rows
{
  public:
    Rows(SPITupleTable *table, std::uint64_t count) noexcept
        : table_(table), count_(count), in_flight_(std::uncaught_exceptions())
    {
    }
    Rows(Rows &&other) noexcept
        : table_(std::exchange(other.table_, nullptr)), count_(other.count_), in_flight_(other.in_flight_)
    {
    }
    Rows(const Rows &) = delete;
    Rows &operator=(const Rows &) = delete;
    ~Rows();

    std::size_t size() const { return table_ ? count_ : 0; }
    bool empty() const { return size() == 0; }
    std::uint64_t affected() const { return count_; } // also where the statement returns no rows

    TupleDesc descriptor() const { return table_->tupdesc; }
    HeapTuple tuple(std::size_t row) const { return table_->vals[row]; }
    HeapTuple *tuples() const { return table_->vals; }
    Oid type(int column) const { return SPI_gettypeid(table_->tupdesc, column); }
    bool is_null(std::size_t row, int column) const;
    Datum datum(std::size_t row, int column) const;
    std::string text(std::size_t row, int column) const; // of a text column; empty where NULL
    std::int64_t int8(std::size_t row, int column) const { return DatumGetInt64(datum(row, column)); }
    std::int32_t int4(std::size_t row, int column) const { return DatumGetInt32(datum(row, column)); }
    double float8(std::size_t row, int column) const { return DatumGetFloat8(datum(row, column)); }
    bool boolean(std::size_t row, int column) const { return DatumGetBool(datum(row, column)); }
    Oid oid(std::size_t row, int column) const { return DatumGetObjectId(datum(row, column)); }

  private:
    SPITupleTable *table_;
    std::uint64_t count_;
    int in_flight_;
};

class KeptPlans;

// A connection to the SPI manager. One per entry function, handed down by reference.
class Spi
{
  public:
    Spi();
    // For a procedure that commits on its way: each of its transactions begins by keeping the extension from
    // being dropped (extension.hpp). Error 2D000 where the call is part of a larger transaction, which is its
    // caller's to end.
    explicit Spi(FunctionCallInfo procedure);
    // For a background worker with a portal of its own, which may commit, too.
    enum class Worker { yes };
    explicit Spi(Worker);
    Spi(const Spi &) = delete;
    Spi &operator=(const Spi &) = delete;
    ~Spi();

    // Runs one statement. The text holds no values, only $n and identifiers quoted by ident.hpp.
    Rows run(const std::string &sql, const std::vector<Param> &params = {});

    // The same with a plan that is made without a look at the parameters' values. With arrays of thousands of
    // keys that look costs more than the statement; and the plan is the same for few keys and for many.
    Rows run_generic(const std::string &sql, const std::vector<Param> &params);

    // A statement of a constant text, whose parameters' types never change, asked again and again: its plan is made once in
    // a session (kept_plans.hpp), without a look at the values. No constants of objects that come and go with the extension:
    // to_regproc() asks for them each time.
    template <std::size_t size> Rows run_kept(const char (&sql)[size], const std::vector<Param> &params)
    {
        return run_saved_plan(sql, params);
    }

    // run_generic(), its rows given to a receiver one by one. Returns their number.
    std::uint64_t send_generic(const std::string &sql, const std::vector<Param> &params,
                               DestReceiver *receiver);

    // Commits the transaction and begins the next. Only with the second and third constructor, outside a
    // subtransaction and with no other role assumed. Throws ExtensionGone where the extension was dropped or
    // updated between the two.
    void commit();

  private:
    friend KeptPlans;
    Rows run_saved_plan(const char *sql, const std::vector<Param> &params);

    ExtensionMark extension_{};
    KeptPlans *kept_plans_ = nullptr; // of the queries that are run, where they are kept
    int in_flight_;
};

// The rows of a query a batch at a time, for what may be too large at once. Lives within its connection.
class Cursor
{
  public:
    Cursor(Spi &spi, const std::string &sql, const std::vector<Param> &params = {});
    Cursor(const Cursor &) = delete;
    Cursor &operator=(const Cursor &) = delete;
    ~Cursor();

    // The next rows, at most so many; none at the end.
    Rows fetch(long most);

  private:
    Portal portal_;
    int in_flight_;
};

} // namespace privacy_scan::pg
