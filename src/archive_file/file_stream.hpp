// An archive file as a stream of CSV: compressed and hashed on its way. Errors are SQL errors: 53100, 58030,
// 58P01, 42501, XX001 where the file is damaged.
#pragma once

#include "pg/guard.hpp"

#include "archive_file/durable_file.hpp"
#include "archive_file/sha256.hpp"
#include "archive_file/zstd_stream.hpp"

namespace privacy_scan::archive_file
{

// What a file is, beside its rows.
struct FileFacts {
    std::int64_t bytes = 0;
    std::string sha256;
};

// The directory of privacy_scan.archive_directory. Errors: 55000 where none is set or it is not
// fit, 58P01 where it isn't there.
Descriptor open_archive_directory();

// Runs the body; its errors about files, CSV and zstd become SQL errors.
void with_sql_errors(const std::function<void()> &body);

// The rows of a table as a file, written and published. `also` is given the bytes as they are written.
class FileWriter
{
  public:
    FileWriter(int directory, const std::string &name, int level, Compression compression, Sink also);
    void write(const std::string &text) { zstd_.write(text.data(), text.size()); }
    void publish();

  private:
    NewFile file_;
    ZstdWriter zstd_;
};

// Reads the bytes alone.
FileFacts facts_of(int directory, const std::string &name);

// The rows in the bytes of a file, and what those are.
class ContentReader
{
  public:
    explicit ContentReader(Source bytes);
    ContentReader(const ContentReader &) = delete;
    ContentReader &operator=(const ContentReader &) = delete;
    bool next(CsvRow &row) { return csv_.next(row); }
    std::uint64_t rows() const { return csv_.rows(); }
    FileFacts facts(); // of all bytes, once, after the last row

  private:
    Source source_;
    FileFacts facts_;
    Sha256 hash_;
    ZstdReader zstd_;
    CsvReader csv_;
};

// The rows of a file.
class FileReader
{
  public:
    FileReader(int directory, const std::string &name);
    bool next(CsvRow &row) { return content_.next(row); }
    std::uint64_t rows() const { return content_.rows(); }
    FileFacts facts() { return content_.facts(); }

  private:
    Descriptor file_;
    ContentReader content_;
};

} // namespace privacy_scan::archive_file
