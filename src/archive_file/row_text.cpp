// See row_text.hpp.
#include "archive_file/row_text.hpp"

extern "C" {
#include <executor/tuptable.h>
#include <mb/pg_wchar.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
}

namespace privacy_scan::archive_file
{

namespace
{

constexpr std::size_t chunk_bytes = 64 * 1024;

void append_row(const RowReader *reader, std::string *text)
{
    const retention::RowShape *shape = reader->shape;
    bool is_first = true;
    for (int i = 0; i < shape->desc->natts; ++i) {
        if (TupleDescAttr(shape->desc, i)->attisdropped)
            continue;
        if (!is_first)
            *text += ',';
        is_first = false;
        if (!reader->slot->tts_isnull[i])
            append_csv_value(*text, OutputFunctionCall(&reader->output[i], reader->slot->tts_values[i]),
                             shape->columns == 1);
    }
    *text += '\n';
}

int column_named(TupleDesc desc, std::string_view name)
{
    for (int i = 0; i < desc->natts; ++i)
        if (!TupleDescAttr(desc, i)->attisdropped && name == NameStr(TupleDescAttr(desc, i)->attname))
            return i;
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                    errmsg("relation has no column \"%s\", which the archive file has", name.data())));
    pg_unreachable();
}

} // namespace

RowReader *open_rows(Relation table)
{
    auto *reader = static_cast<RowReader *>(palloc0(sizeof(RowReader)));
    TupleDesc desc = RelationGetDescr(table);
    reader->shape = retention::make_row_shape(desc);
    reader->output = static_cast<FmgrInfo *>(palloc0(sizeof(FmgrInfo) * (desc->natts + 1)));
    for (int i = 0; i < desc->natts; ++i) {
        if (TupleDescAttr(desc, i)->attisdropped)
            continue;
        Oid function;
        bool is_varlena;
        getTypeOutputInfo(TupleDescAttr(desc, i)->atttypid, &function, &is_varlena);
        fmgr_info(function, &reader->output[i]);
    }
    reader->each = AllocSetContextCreate(CurrentMemoryContext, "row of an archive", ALLOCSET_DEFAULT_SIZES);
    reader->slot = table_slot_create(table, nullptr);
    reader->scan = table_beginscan(table, GetActiveSnapshot(), 0, nullptr);
    return reader;
}

void append_header(const RowReader *reader, std::string *text)
{
    bool is_first = true;
    for (int i = 0; i < reader->shape->desc->natts; ++i) {
        Form_pg_attribute column = TupleDescAttr(reader->shape->desc, i);
        if (column->attisdropped)
            continue;
        if (!is_first)
            *text += ',';
        is_first = false;
        append_csv_value(*text, NameStr(column->attname), reader->shape->columns == 1);
    }
    *text += '\n';
}

bool append_rows(RowReader *reader, std::string *text)
{
    const std::size_t before = text->size();
    MemoryContext outer = MemoryContextSwitchTo(reader->each);
    while (!reader->is_at_end && text->size() - before < chunk_bytes) {
        CHECK_FOR_INTERRUPTS();
        if (!table_scan_getnextslot(reader->scan, ForwardScanDirection, reader->slot)) {
            reader->is_at_end = true; // asked once more, a scan begins again
            break;
        }
        slot_getallattrs(reader->slot);
        retention::add_row(&reader->total, reader->shape, reader->slot->tts_values, reader->slot->tts_isnull);
        append_row(reader, text);
        MemoryContextReset(reader->each);
    }
    MemoryContextSwitchTo(outer);
    return text->size() > before;
}

void close_rows(RowReader *reader)
{
    table_endscan(reader->scan);
    ExecDropSingleTupleTableSlot(reader->slot);
}

RowParser *make_parser(TupleDesc desc, const CsvRow *header)
{
    auto *parser = static_cast<RowParser *>(palloc0(sizeof(RowParser)));
    const std::size_t natts = static_cast<std::size_t>(desc->natts) + 1;
    parser->shape = retention::make_row_shape(desc);
    parser->input = static_cast<FmgrInfo *>(palloc0(sizeof(FmgrInfo) * natts));
    parser->parameter = static_cast<Oid *>(palloc0(sizeof(Oid) * natts));
    parser->field_of = static_cast<int *>(palloc(sizeof(int) * natts));
    parser->values = static_cast<Datum *>(palloc0(sizeof(Datum) * natts));
    parser->nulls = static_cast<bool *>(palloc(sizeof(bool) * natts));
    memset(parser->field_of, -1, sizeof(int) * natts);
    memset(parser->nulls, true, natts);
    for (std::size_t n = 0; n < header->size(); ++n) {
        const int i = column_named(desc, header->text(n));
        if (parser->field_of[i] >= 0)
            ereport(ERROR, (errcode(ERRCODE_DUPLICATE_COLUMN), errmsg("archive file has a column twice")));
        Oid function;
        getTypeInputInfo(TupleDescAttr(desc, i)->atttypid, &function, &parser->parameter[i]);
        fmgr_info(function, &parser->input[i]);
        parser->field_of[i] = static_cast<int>(n);
    }
    parser->each = AllocSetContextCreate(CurrentMemoryContext, "row of a file", ALLOCSET_DEFAULT_SIZES);
    return parser;
}

void parse_row(RowParser *parser, const CsvRow *row)
{
    CHECK_FOR_INTERRUPTS();
    MemoryContextReset(parser->each);
    MemoryContext outer = MemoryContextSwitchTo(parser->each);
    TupleDesc desc = parser->shape->desc;
    for (int i = 0; i < desc->natts; ++i) {
        if (parser->field_of[i] < 0)
            continue;
        const auto field = static_cast<std::size_t>(parser->field_of[i]);
        if (field >= row->size())
            ereport(ERROR, (errcode(ERRCODE_BAD_COPY_FILE_FORMAT), errmsg("a row of the file is too short")));
        parser->nulls[i] = row->is_null(field);
        auto *text = parser->nulls[i] ? nullptr : const_cast<char *>(row->text(field).data());
        if (text)
            pg_verifymbstr(text, static_cast<int>(row->text(field).size()), false);
        parser->values[i] = InputFunctionCall(&parser->input[i], text, parser->parameter[i],
                                              TupleDescAttr(desc, i)->atttypmod);
    }
    MemoryContextSwitchTo(outer);
}

} // namespace privacy_scan::archive_file
