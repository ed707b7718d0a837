// See row_text.hpp.
#include "archive_file/row_text.hpp"

#include "json/json_writer.hpp"

#include <charconv>

extern "C" {
#include <access/detoast.h>
#include <executor/tuptable.h>
#include <mb/pg_wchar.h>
#include <utils/fmgroids.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
}

namespace privacy_scan::archive_file
{

namespace
{

constexpr std::size_t chunk_bytes = 64 * 1024;
constexpr std::size_t row_bytes = 64 * 1024;

// Reset after each row. Its first block, which it keeps, holds what most rows need.
MemoryContext make_row_memory()
{
    return AllocSetContextCreate(CurrentMemoryContext, "row of an archive", 0, row_bytes, ALLOCSET_DEFAULT_MAXSIZE);
}

// Types of the same text have the same function: domains have that of their base types.
Writing writing_of(Oid output_function)
{
    switch (output_function) {
    case F_TEXTOUT:
    case F_VARCHAROUT:
    case F_BPCHAROUT:
    case F_JSON_OUT:
        return Writing::text;
    case F_JSONB_OUT:
        return Writing::document;
    case F_INT2OUT:
        return Writing::int2;
    case F_INT4OUT:
        return Writing::int4;
    case F_INT8OUT:
        return Writing::int8;
    case F_BOOLOUT:
        return Writing::boolean;
    default:
        return Writing::by_function;
    }
}

// Into a quoted field.
struct CsvOut {
    std::string *to;
    bool has_quotes;

    void append(const char *bytes, std::size_t size) { to->append(bytes, size); }
    void append_quote()
    {
        has_quotes = true;
        to->append("\"\"", 2);
    }
};

// A document's text has no line ends, and quotes around its strings; few have neither those nor a comma.
void append_document(std::string *text, Datum document)
{
    const std::size_t before = text->size();
    const auto *value = reinterpret_cast<const struct varlena *>(DatumGetPointer(document));
    const auto size = static_cast<std::uint32_t>(VARSIZE_ANY_EXHDR(value));
    json::ByteSource source{reinterpret_cast<const std::uint8_t *>(VARDATA_ANY(value)), size, size, nullptr};
    json::Value root;
    if (!json::is_found(json::read_root(source, root)))
        json::report_damage();
    *text += '"';
    CsvOut out{text, false};
    json::JsonWriter<CsvOut>(source, out).write(root);
    if (text->size() - before > MaxAllocSize)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the text of a jsonb value is larger than 1 GB")));
    if (out.has_quotes || text->find(',', before) != std::string::npos)
        *text += '"';
    else
        text->erase(before, 1);
}

void append_number(std::string *text, std::int64_t number)
{
    char digits[24];
    text->append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

void append_value(const RowReader *reader, int i, std::string *text)
{
    const Datum value = reader->values[i];
    const bool is_alone = reader->shape->columns == 1;
    switch (reader->writing[i]) {
    case Writing::text: {
        const auto *bytes = reinterpret_cast<const struct varlena *>(DatumGetPointer(value));
        append_csv_value(*text, {VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes)}, is_alone);
        break;
    }
    case Writing::document:
        append_document(text, value);
        break;
    case Writing::int2:
        append_number(text, DatumGetInt16(value));
        break;
    case Writing::int4:
        append_number(text, DatumGetInt32(value));
        break;
    case Writing::int8:
        append_number(text, DatumGetInt64(value));
        break;
    case Writing::boolean:
        *text += DatumGetBool(value) ? 't' : 'f';
        break;
    case Writing::by_function:
        append_csv_value(*text, OutputFunctionCall(&reader->output[i], value), is_alone);
    }
}

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
            append_value(reader, i, text);
    }
    *text += '\n';
}

// Once, for the digest and for the text.
void fetch_values(const RowReader *reader)
{
    const TupleDesc desc = reader->shape->desc;
    for (int i = 0; i < desc->natts; ++i) {
        if (TupleDescAttr(desc, i)->attisdropped) // its values are still there
            continue;
        Datum &value = reader->values[i];
        value = reader->slot->tts_values[i];
        if (!reader->slot->tts_isnull[i] && TupleDescAttr(desc, i)->attlen == -1)
            value = PointerGetDatum(pg_detoast_datum_packed(reinterpret_cast<struct varlena *>(DatumGetPointer(value))));
    }
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
    const std::size_t natts = static_cast<std::size_t>(desc->natts) + 1;
    reader->output = static_cast<FmgrInfo *>(palloc0(sizeof(FmgrInfo) * natts));
    reader->writing = static_cast<Writing *>(palloc0(sizeof(Writing) * natts));
    reader->values = static_cast<Datum *>(palloc0(sizeof(Datum) * natts));
    for (int i = 0; i < desc->natts; ++i) {
        if (TupleDescAttr(desc, i)->attisdropped)
            continue;
        Oid function;
        bool is_varlena;
        getTypeOutputInfo(TupleDescAttr(desc, i)->atttypid, &function, &is_varlena);
        fmgr_info(function, &reader->output[i]);
        reader->writing[i] = writing_of(function);
    }
    reader->each = make_row_memory();
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
        fetch_values(reader);
        retention::add_row(&reader->total, reader->shape, reader->values, reader->slot->tts_isnull);
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
    parser->each = make_row_memory();
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
