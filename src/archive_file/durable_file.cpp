// See durable_file.hpp.
#include "archive_file/durable_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace privacy_scan::archive_file
{

namespace
{

[[noreturn]] void fail(const std::string &what)
{
    const int code = errno;
    throw FileError(code, what + ": " + std::strerror(code));
}

// Once more where a signal came in between.
template <typename Call> auto uninterrupted(Call call)
{
    for (;;) {
        const auto result = call();
        if (result >= 0 || errno != EINTR)
            return result;
    }
}

int opened(int directory, const char *name, int flags, const std::string &what)
{
    const int fd = uninterrupted([=] { return openat(directory, name, flags | O_CLOEXEC, 0600); });
    if (fd < 0)
        fail("could not open " + what);
    return fd;
}

struct stat status_of(int fd, const std::string &what)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        fail("could not look at " + what);
    return status;
}

bool is_same(const struct stat &a, const struct stat &b)
{
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

void require_private(const struct stat &status, const std::string &what)
{
    if (status.st_uid != geteuid())
        throw FileError(0, what + " belongs to another user");
    if ((status.st_mode & 077) != 0)
        throw FileError(0, what + " has rights for group or others");
}

void make_durable(int fd, const std::string &what)
{
    if (uninterrupted([=] { return fsync(fd); }) < 0)
        fail("could not fsync " + what);
}

std::string quoted(const std::string &name)
{
    return "\"" + name + "\"";
}

// Upwards from the directory to the root, whatever the path looks like.
void require_outside(int directory, const std::string &outside, const std::string &what)
{
    struct stat forbidden;
    if (stat(outside.c_str(), &forbidden) < 0)
        fail("could not look at " + quoted(outside));
    Descriptor at(opened(directory, ".", O_RDONLY | O_DIRECTORY, what));
    struct stat status = status_of(at.get(), what);
    for (;;) {
        if (is_same(status, forbidden))
            throw FileError(0, what + " lies in the data directory");
        const int fd = at.get();
        Descriptor above(uninterrupted([=] { return openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC); }));
        if (above.get() < 0)
            fail("could not look above " + what);
        const struct stat next = status_of(above.get(), what);
        if (is_same(next, status))
            return;
        status = next;
        at = std::move(above);
    }
}

} // namespace

FileError::FileError(int error, const std::string &what) : std::runtime_error(what), code(error) {}

Descriptor::Descriptor(Descriptor &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Descriptor &Descriptor::operator=(Descriptor &&other) noexcept
{
    std::swap(fd_, other.fd_);
    return *this;
}

Descriptor::~Descriptor()
{
    if (fd_ >= 0)
        close(fd_);
}

Descriptor open_private_directory(const std::string &path, const std::string &outside)
{
    const std::string what = "directory " + quoted(path);
    if (path.empty() || path.front() != '/')
        throw FileError(0, what + " is not absolute");
    Descriptor directory(opened(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW, what));
    require_private(status_of(directory.get(), what), what);
    require_outside(directory.get(), outside, what);
    return directory;
}

Descriptor open_private_file(int directory, const std::string &name)
{
    const std::string what = "file " + quoted(name);
    Descriptor file(opened(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK, what));
    const struct stat status = status_of(file.get(), what);
    if (!S_ISREG(status.st_mode))
        throw FileError(0, what + " is no regular file");
    require_private(status, what);
    return file;
}

std::size_t read_some(int fd, char *data, std::size_t size)
{
    const ssize_t count = uninterrupted([=] { return read(fd, data, size); });
    if (count < 0)
        fail("could not read");
    return static_cast<std::size_t>(count);
}

std::vector<std::string> list_names(int directory, const std::string &prefix)
{
    const int fd = opened(directory, ".", O_RDONLY | O_DIRECTORY, "the directory");
    std::unique_ptr<DIR, int (*)(DIR *)> entries(fdopendir(fd), closedir);
    if (!entries) {
        close(fd);
        fail("could not list the directory");
    }
    std::vector<std::string> names;
    errno = 0;
    while (const dirent *entry = readdir(entries.get()))
        if (std::strncmp(entry->d_name, prefix.c_str(), prefix.size()) == 0)
            names.emplace_back(entry->d_name);
    if (errno != 0)
        fail("could not list the directory");
    return names;
}

bool is_there(int directory, const std::string &name)
{
    const std::vector<std::string> names = list_names(directory, name);
    return std::find(names.begin(), names.end(), name) != names.end();
}

bool remove_file(int directory, const std::string &name)
{
    if (unlinkat(directory, name.c_str(), 0) < 0) {
        if (errno == ENOENT)
            return false;
        fail("could not remove file " + quoted(name));
    }
    make_durable(directory, "the directory");
    return true;
}

NewFile::NewFile(int directory, const std::string &name)
    : directory_(directory), name_(name), temporary_(name + ".tmp"),
      file_(opened(directory, temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
                   "file " + quoted(temporary_)))
{
}

NewFile::~NewFile()
{
    if (is_temporary_)
        unlinkat(directory_, temporary_.c_str(), 0);
}

void NewFile::write(const char *data, std::size_t size)
{
    while (size > 0) {
        const ssize_t count = uninterrupted([=] { return ::write(file_.get(), data, size); });
        if (count < 0)
            fail("could not write file " + quoted(temporary_));
        data += count;
        size -= static_cast<std::size_t>(count);
        written_ += count;
    }
    begin_writing_back();
}

// A hint, so that the fsync at the end finds less to do; nothing relies on it.
void NewFile::begin_writing_back()
{
#ifdef SYNC_FILE_RANGE_WRITE
    constexpr off_t piece = 4 << 20;
    if (written_ - begun_ < piece)
        return;
    (void)sync_file_range(file_.get(), begun_, written_ - begun_, SYNC_FILE_RANGE_WRITE);
    begun_ = written_;
#endif
}

// A second link, unlike a rename, replaces nothing on any system.
void NewFile::publish()
{
    make_durable(file_.get(), "file " + quoted(temporary_));
    if (linkat(directory_, temporary_.c_str(), directory_, name_.c_str(), 0) < 0)
        fail("could not give file " + quoted(temporary_) + " its name");
    is_temporary_ = false;
    if (unlinkat(directory_, temporary_.c_str(), 0) < 0)
        fail("could not remove the temporary name " + quoted(temporary_));
    make_durable(directory_, "the directory");
}

} // namespace privacy_scan::archive_file
