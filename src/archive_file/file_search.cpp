// See file_search.hpp.
#include "pg/postgres.hpp"

#include "archive_file/file_search.hpp"

#include "archive_file/file_check.hpp"

namespace privacy_scan::archive_file
{

namespace
{

std::size_t field_of(const CsvRow &header, const std::string &name)
{
    for (std::size_t n = 0; n < header.size(); ++n)
        if (header.text(n) == name)
            return n;
    pg::fail(ERRCODE_UNDEFINED_COLUMN, "the archive file has no column \"" + name + "\"");
}

} // namespace

bool holds_any(const ListedFile &file, const std::vector<WantedColumn> &wanted)
{
    const Descriptor directory = open_archive_directory();
    FileReader reader(directory.get(), file.name);
    CsvRow row;
    reader.next(row);
    std::vector<std::size_t> fields;
    for (const WantedColumn &column : wanted)
        fields.push_back(field_of(row, column.name));
    std::string value;
    while (reader.next(row)) {
        if (reader.rows() % 1024 == 0)
            pg::guarded([] { CHECK_FOR_INTERRUPTS(); });
        for (std::size_t n = 0; n < wanted.size(); ++n) {
            if (fields[n] >= row.size() || row.is_null(fields[n]))
                continue;
            value = row.text(fields[n]);
            if (wanted[n].values.count(value) > 0)
                return true;
        }
    }
    require_same_file(file, reader.facts());
    return false;
}

} // namespace privacy_scan::archive_file
