// See rowset.hpp.
#include "pg/rowset.hpp"

extern "C" {
#include <access/htup_details.h>
#include <access/tupdesc.h>
#include <nodes/execnodes.h>
#include <utils/builtins.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::pg
{

Cell null_cell()
{
    return {0, true};
}

Cell cell(const char *text)
{
    if (!text || !*text)
        return null_cell();
    return {guarded([=] { return CStringGetTextDatum(text); }), false};
}

Cell cell(const std::string &text)
{
    return cell(text.c_str());
}
Cell cell(std::int64_t value)
{
    return {Int64GetDatum(value), false};
}
Cell cell(double value)
{
    return {Float8GetDatum(value), false};
}
Cell cell(bool value)
{
    return {BoolGetDatum(value), false};
}
Cell cell_oid(Oid value)
{
    return OidIsValid(value) ? Cell{ObjectIdGetDatum(value), false} : null_cell();
}
Cell cell_instant(std::int64_t value)
{
    return {TimestampTzGetDatum(value), false};
}

RowSink::RowSink(FunctionCallInfo fcinfo)
{
    auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    if (!info || !IsA(info, ReturnSetInfo) || !(info->allowedModes & SFRM_Materialize))
        fail(ERRCODE_FEATURE_NOT_SUPPORTED, "set-valued function called in context that cannot accept a set");
    guarded([&] {
        MemoryContext outer = MemoryContextSwitchTo(info->econtext->ecxt_per_query_memory);
        if (get_call_result_type(fcinfo, nullptr, &desc_) != TYPEFUNC_COMPOSITE)
            elog(ERROR, "return type must be a row type");
        desc_ = BlessTupleDesc(CreateTupleDescCopy(desc_));
        store_ = tuplestore_begin_heap(true, false, work_mem);
        info->returnMode = SFRM_Materialize;
        info->setResult = store_;
        info->setDesc = desc_;
        MemoryContextSwitchTo(outer);
    });
}

void RowSink::put(const std::vector<Cell> &cells)
{
    if (static_cast<int>(cells.size()) != desc_->natts)
        fail(ERRCODE_DATATYPE_MISMATCH, "a result row has " + std::to_string(cells.size()) +
                                            " columns instead of " + std::to_string(desc_->natts));
    std::vector<Datum> values(cells.size());
    std::vector<char> nulls(cells.size());
    for (std::size_t i = 0; i < cells.size(); ++i) {
        values[i] = cells[i].value;
        nulls[i] = cells[i].is_null;
    }
    auto *flags = reinterpret_cast<bool *>(nulls.data());
    guarded([&] { tuplestore_putvalues(store_, desc_, values.data(), flags); });
}

namespace
{

// A row's values, those of dropped columns being NULL. Red.
struct RowCopy {
    TupleDesc from, to;
    Datum *came, *values;
    bool *came_null, *nulls;
};

RowCopy make_copy(TupleDesc from, TupleDesc to)
{
    auto array = [](int natts, std::size_t size) {
        return palloc0(size * (static_cast<std::size_t>(natts) + 1));
    };
    return {from,
            to,
            static_cast<Datum *>(array(from->natts, sizeof(Datum))),
            static_cast<Datum *>(array(to->natts, sizeof(Datum))),
            static_cast<bool *>(array(from->natts, sizeof(bool))),
            static_cast<bool *>(array(to->natts, sizeof(bool)))};
}

void copy_row(const RowCopy &copy, HeapTuple row)
{
    heap_deform_tuple(row, copy.from, copy.came, copy.came_null);
    int next = 0;
    for (int i = 0; i < copy.to->natts; ++i) {
        copy.nulls[i] = TupleDescAttr(copy.to, i)->attisdropped || copy.came_null[next];
        if (!TupleDescAttr(copy.to, i)->attisdropped)
            copy.values[i] = copy.came[next++];
    }
}

void require_same_columns(TupleDesc from, TupleDesc to)
{
    int next = 0;
    for (int i = 0; i < to->natts; ++i)
        if (!TupleDescAttr(to, i)->attisdropped &&
            (next == from->natts || TupleDescAttr(from, next++)->atttypid != TupleDescAttr(to, i)->atttypid))
            ereport(ERROR,
                    (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("the relation's columns have changed")));
    if (next != from->natts)
        ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("the relation's columns have changed")));
}

} // namespace

void RowSink::put_rows(TupleDesc desc, HeapTuple *rows, std::size_t count)
{
    guarded([&] {
        require_same_columns(desc, desc_);
        const RowCopy copy = make_copy(desc, desc_);
        for (std::size_t i = 0; i < count; ++i) {
            copy_row(copy, rows[i]);
            tuplestore_putvalues(store_, desc_, copy.values, copy.nulls);
        }
    });
}

} // namespace privacy_scan::pg
