// See rowset.hpp.
#include "pg/rowset.hpp"

extern "C" {
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

} // namespace privacy_scan::pg
