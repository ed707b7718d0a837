// CSV as COPY .. (FORMAT csv, HEADER) writes and reads it: NULL is an empty field without quotes, the empty
// string is quoted, quotes are doubled, a value may hold line ends. Lines end with \n. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace privacy_scan::archive_file
{

// What bytes come from: fills a buffer, returns how many; 0 at the end.
using Source = std::function<std::size_t(char *, std::size_t)>;

// Appends a value, quoted where it must be. NULL: append nothing. is_alone: the row has no other column.
void append_csv_value(std::string &line, std::string_view value, bool is_alone);

// The file is no CSV as we write it.
class CsvError : public std::runtime_error
{
  public:
    using std::runtime_error::runtime_error;
};

// The fields of a row, each followed by a zero byte, so that they are C strings as well. Filled again and
// again.
class CsvRow
{
  public:
    std::size_t size() const { return fields_.size(); }
    bool is_null(std::size_t n) const { return fields_[n].is_null; }
    std::string_view text(std::size_t n) const { return {text_.data() + fields_[n].begin, fields_[n].size}; }

  private:
    friend class CsvReader;
    struct Field {
        std::size_t begin, size;
        bool is_null;
    };
    std::string text_;
    std::vector<Field> fields_;
};

class CsvReader
{
  public:
    // most_bytes: of a row.
    CsvReader(Source source, std::size_t most_bytes);

    // The next row; false at the end. Errors: CsvError, and what the source throws.
    bool next(CsvRow &row);

    std::uint64_t rows() const { return rows_; } // that next() has given

  private:
    bool fill();
    bool is_at_end() { return at_ == end_ && !fill(); }
    void read_quoted(CsvRow &row);
    void append(CsvRow &row, const char *from, const char *to) const;
    void end_field(CsvRow &row, std::size_t begin, bool was_quoted) const;

    Source source_;
    std::size_t most_bytes_;
    std::vector<char> buffer_;
    const char *at_ = nullptr;
    const char *end_ = nullptr;
    std::uint64_t rows_ = 0;
};

} // namespace privacy_scan::archive_file
