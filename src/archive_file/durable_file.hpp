// Files that are there completely or not at all, also after a crash, in a directory that is nobody else's.
// Everything goes by the directory's descriptor: what stands at its path may change meanwhile. Pure (POSIX).
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace privacy_scan::archive_file
{

// code: errno, or 0 where what is there was refused.
class FileError : public std::runtime_error
{
  public:
    FileError(int code, const std::string &what);
    const int code;
};

// An open descriptor.
class Descriptor
{
  public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(Descriptor &&other) noexcept;
    Descriptor &operator=(Descriptor &&other) noexcept;
    ~Descriptor();
    int get() const { return fd_; }

  private:
    int fd_;
};

// Opens a directory: absolute, no symbolic link, owned by this process's user, without rights for others, and
// neither `outside` itself nor anywhere below it. Nothing is made.
Descriptor open_private_directory(const std::string &path, const std::string &outside);

// Opens a file for reading: a regular one of this process's user, without rights for others. Nothing else is
// waited for or followed.
Descriptor open_private_file(int directory, const std::string &name);

// Up to so many bytes; 0 at the end.
std::size_t read_some(int fd, char *data, std::size_t size);

std::vector<std::string> list_names(int directory, const std::string &prefix);
bool is_there(int directory, const std::string &name);

// Removes a name, durably; false where it wasn't there.
bool remove_file(int directory, const std::string &name);

// A new file. It has a temporary name until publish(), and is removed with the object before that.
class NewFile
{
  public:
    NewFile(int directory, const std::string &name);
    NewFile(const NewFile &) = delete;
    NewFile &operator=(const NewFile &) = delete;
    ~NewFile();

    void write(const char *data, std::size_t size);

    // Makes it durable under its name, which nothing may have yet.
    void publish();

  private:
    void begin_writing_back();

    int directory_;
    std::string name_, temporary_;
    Descriptor file_;
    bool is_temporary_ = true;
    std::int64_t written_ = 0, begun_ = 0; // bytes, and those that are on their way to the disk
};

} // namespace privacy_scan::archive_file
