// The result of a set-returning function, materialized.
#pragma once

#include "pg/guard.hpp"

extern "C" {
#include <funcapi.h>
#include <utils/tuplestore.h>
}

namespace privacy_scan::pg
{

// One cell. Built by the functions below.
struct Cell {
    Datum value;
    bool is_null;
};

Cell null_cell();
Cell cell(const std::string &text);    // text; NULL where empty
Cell cell(const char *text);           // text; NULL where empty
Cell cell(std::int64_t value);         // bigint
Cell cell(double value);               // double precision
Cell cell(bool value);                 // boolean
Cell cell_oid(Oid value);              // oid, regclass
Cell cell_instant(std::int64_t value); // timestamptz

class RowSink
{
  public:
    // Must be called by a function declared RETURNS TABLE.
    explicit RowSink(FunctionCallInfo fcinfo);

    TupleDesc desc() const { return desc_; }

    void put(const std::vector<Cell> &cells);

    // Rows of a query whose columns are the result's, in their order, but for those that were dropped.
    void put_rows(TupleDesc desc, HeapTuple *rows, std::size_t count);

  private:
    TupleDesc desc_;
    Tuplestorestate *store_;
};

} // namespace privacy_scan::pg
