// Rows as CSV and back, by the output and input functions of their types. Red, but for the strings, which
// their callers own.
#pragma once

#include "pg/postgres.hpp"

#include "archive_file/csv.hpp"
#include "retention/row_shape.hpp"

extern "C" {
#include <access/tableam.h>
#include <utils/rel.h>
}

namespace privacy_scan::archive_file
{

// How a value's text is made: by its type's output function, or here, as that makes it, where it is known.
enum class Writing : char { by_function, text, document, int2, int4, int8, boolean };

// A table that is being read, by the active snapshot.
struct RowReader {
    TableScanDesc scan;
    TupleTableSlot *slot;
    retention::RowShape *shape;
    FmgrInfo *output;
    Writing *writing;
    Datum *values; // of the row, fetched and decompressed
    MemoryContext each; // of one row
    retention::RowTotal total;
    bool is_at_end;
};

RowReader *open_rows(Relation table);
void append_header(const RowReader *reader, std::string *text);

// Appends rows, up to about 64 kB of them; false where there were none left.
bool append_rows(RowReader *reader, std::string *text);

void close_rows(RowReader *reader);

// Fields that are being turned into values.
struct RowParser {
    retention::RowShape *shape;
    FmgrInfo *input;
    Oid *parameter;
    int *field_of; // by attribute number from 0; -1: the file doesn't have the column
    Datum *values;
    bool *nulls;
    MemoryContext each;
};

// Columns are found by the header's names. Error 42703 where the descriptor has no column of that name.
RowParser *make_parser(TupleDesc desc, const CsvRow *header);

// The row's values, until the next row. Errors: those of the types, 22021, 22P04.
void parse_row(RowParser *parser, const CsvRow *row);

} // namespace privacy_scan::archive_file
