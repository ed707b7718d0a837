// See file_stream.hpp.
#include "archive_file/file_stream.hpp"

#include "settings/settings.hpp"

extern "C" {
#include <utils/memutils.h>
}

namespace privacy_scan::archive_file
{

namespace
{

int sqlstate_of(int code)
{
    switch (code) {
    case ENOSPC:
    case EDQUOT:
        return ERRCODE_DISK_FULL;
    case ENOENT:
        return ERRCODE_UNDEFINED_FILE;
    case EACCES:
    case EPERM:
        return ERRCODE_INSUFFICIENT_PRIVILEGE;
    case EIO:
        return ERRCODE_IO_ERROR;
    default:
        return ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
    }
}

} // namespace

void with_sql_errors(const std::function<void()> &body)
{
    try {
        body();
    } catch (const FileError &error) {
        pg::fail(sqlstate_of(error.code), error.what());
    } catch (const CsvError &error) {
        pg::fail(ERRCODE_DATA_CORRUPTED, std::string("archive file is damaged: ") + error.what());
    } catch (const ZstdError &error) {
        pg::fail(ERRCODE_DATA_CORRUPTED, std::string("archive file is damaged: ") + error.what());
    }
}

Descriptor open_archive_directory()
{
    constexpr const char *hint =
        "Let a superuser set privacy_scan.archive_directory to an absolute path of a "
        "directory that belongs to the server's user, with mode 0700, outside the "
        "data directory.";
    const std::string path = settings::archive_directory();
    if (path.empty())
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "there is no directory for archive files", {},
                 hint);
    try {
        return open_private_directory(path, DataDir);
    } catch (const FileError &error) {
        pg::fail(error.code == ENOENT ? ERRCODE_UNDEFINED_FILE : ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 error.what(), {}, hint);
    }
}

FileWriter::FileWriter(int directory, const std::string &name, int level, Compression compression, Sink also)
    : file_(directory, name), zstd_(
                                  level,
                                  [this, also = std::move(also)](const char *data, std::size_t size) {
                                      file_.write(data, size);
                                      if (also)
                                          also(data, size);
                                  },
                                  compression)
{
}

void FileWriter::publish()
{
    zstd_.finish();
    file_.publish();
}

FileFacts facts_of(int directory, const std::string &name)
{
    const Descriptor file = open_private_file(directory, name);
    FileFacts facts;
    Sha256 hash;
    std::vector<char> buffer(64 * 1024);
    while (const std::size_t size = read_some(file.get(), buffer.data(), buffer.size())) {
        pg::guarded([] { CHECK_FOR_INTERRUPTS(); });
        hash.add(buffer.data(), size);
        facts.bytes += static_cast<std::int64_t>(size);
    }
    facts.sha256 = hash.finish();
    return facts;
}

ContentReader::ContentReader(Source bytes)
    : source_(std::move(bytes)), zstd_([this](char *data, std::size_t most) {
          const std::size_t size = source_(data, most);
          hash_.add(data, size);
          facts_.bytes += static_cast<std::int64_t>(size);
          return size;
      }),
      csv_([this](char *data, std::size_t size) { return zstd_.read(data, size); }, MaxAllocSize - 1)
{
}

FileFacts ContentReader::facts()
{
    facts_.sha256 = hash_.finish();
    return facts_;
}

FileReader::FileReader(int directory, const std::string &name)
    : file_(open_private_file(directory, name)),
      content_([this](char *data, std::size_t size) { return read_some(file_.get(), data, size); })
{
}

} // namespace privacy_scan::archive_file
