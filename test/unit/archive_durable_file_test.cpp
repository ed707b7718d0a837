// Files in a private directory: complete or not there, nothing followed, nothing replaced.
#include "archive_file/durable_file.hpp"

#include <cerrno>
#include <cstdlib>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace privacy_scan::archive_file;

namespace
{

class ArchiveDurableFile : public testing::Test
{
  protected:
    void SetUp() override
    {
        char path[] = "/tmp/ps_unit.XXXXXX";
        ASSERT_NE(mkdtemp(path), nullptr);
        path_ = path;
    }
    void TearDown() override { ASSERT_EQ(std::system(("rm -rf " + path_).c_str()), 0); }

    Descriptor open() const { return open_private_directory(path_, "/usr"); }
    std::string at(const std::string &name) const { return path_ + "/" + name; }

    std::string path_;
};

std::string content(int directory, const std::string &name)
{
    const Descriptor file = open_private_file(directory, name);
    char buffer[100];
    return {buffer, read_some(file.get(), buffer, sizeof buffer)};
}

void write_file(int directory, const std::string &name, const std::string &text)
{
    NewFile file(directory, name);
    file.write(text.data(), text.size());
    file.publish();
}

// The errno, 0 for a refusal, -1 where nothing was thrown.
template <typename Body> int code_of(Body body)
{
    try {
        body();
    } catch (const FileError &error) {
        return error.code;
    }
    return -1;
}

} // namespace

TEST_F(ArchiveDurableFile, IsThereOncePublished)
{
    const Descriptor directory = open();
    NewFile file(directory.get(), "a");
    file.write("text", 4);
    EXPECT_EQ(list_names(directory.get(), "a"), std::vector<std::string>{"a.tmp"});
    file.publish();
    EXPECT_EQ(list_names(directory.get(), "a"), std::vector<std::string>{"a"});
    EXPECT_EQ(content(directory.get(), "a"), "text");
    struct stat status;
    ASSERT_EQ(stat(at("a").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST_F(ArchiveDurableFile, LeavesNothingUnpublished)
{
    const Descriptor directory = open();
    {
        NewFile file(directory.get(), "a");
        file.write("text", 4);
    }
    EXPECT_TRUE(list_names(directory.get(), "").size() == 2) << "only . and ..";
}

TEST_F(ArchiveDurableFile, ReplacesNothing)
{
    const Descriptor directory = open();
    write_file(directory.get(), "a", "old");
    EXPECT_EQ(code_of([&] { write_file(directory.get(), "a", "new"); }), EEXIST);
    EXPECT_EQ(content(directory.get(), "a"), "old");
    ASSERT_EQ(symlink("/etc/passwd", at("b.tmp").c_str()), 0);
    EXPECT_EQ(code_of([&] { write_file(directory.get(), "b", "new"); }), EEXIST);
}

TEST_F(ArchiveDurableFile, RefusesOddFiles)
{
    const Descriptor directory = open();
    write_file(directory.get(), "a", "text");
    ASSERT_EQ(symlink("a", at("link").c_str()), 0);
    ASSERT_EQ(mkfifo(at("fifo").c_str(), 0600), 0);
    ASSERT_EQ(mkdir(at("dir").c_str(), 0700), 0);
    EXPECT_EQ(code_of([&] { open_private_file(directory.get(), "link"); }), ELOOP);
    EXPECT_EQ(code_of([&] { open_private_file(directory.get(), "fifo"); }), 0);
    EXPECT_EQ(code_of([&] { open_private_file(directory.get(), "dir"); }), 0);
    EXPECT_EQ(code_of([&] { open_private_file(directory.get(), "none"); }), ENOENT);
    ASSERT_EQ(chmod(at("a").c_str(), 0640), 0);
    EXPECT_EQ(code_of([&] { open_private_file(directory.get(), "a"); }), 0);
}

TEST_F(ArchiveDurableFile, RefusesOddDirectories)
{
    EXPECT_EQ(code_of([&] { open_private_directory("tmp", "/usr"); }), 0);
    EXPECT_EQ(code_of([&] { open_private_directory("", "/usr"); }), 0);
    EXPECT_EQ(code_of([&] { open_private_directory(at("none"), "/usr"); }), ENOENT);
    EXPECT_EQ(code_of([&] { open_private_directory(path_, path_); }), 0);
    ASSERT_EQ(mkdir(at("in").c_str(), 0700), 0);
    EXPECT_EQ(code_of([&] { open_private_directory(at("in"), path_); }), 0);
    EXPECT_EQ(code_of([&] { open_private_directory(at("in/../in"), at("")); }), 0);
    ASSERT_EQ(symlink("in", at("link").c_str()), 0);
    EXPECT_EQ(code_of([&] { open_private_directory(at("link"), "/usr"); }), ENOTDIR);
    ASSERT_EQ(chmod(path_.c_str(), 0750), 0);
    EXPECT_EQ(code_of([&] { open(); }), 0);
    ASSERT_EQ(chmod(path_.c_str(), 0700), 0);
    EXPECT_EQ(code_of([&] { open(); }), -1);
}

TEST_F(ArchiveDurableFile, Removes)
{
    const Descriptor directory = open();
    write_file(directory.get(), "a", "text");
    EXPECT_TRUE(remove_file(directory.get(), "a"));
    EXPECT_FALSE(remove_file(directory.get(), "a"));
    EXPECT_EQ(code_of([&] { content(directory.get(), "a"); }), ENOENT);
}
