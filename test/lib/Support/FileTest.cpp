//===- FileTest.cpp - Input and output files ------------------------------===//
//
// What is no file is refused; an output that fails leaves nothing behind.
//
//===----------------------------------------------------------------------===//
#include "lib/Support/File.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sys/stat.h>

using namespace quern;
using testing::HasSubstr;

namespace {
class FileTest : public testing::Test {
protected:
  void SetUp() override {
    folder = testing::TempDir() + "quern-file-" +
             testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  size_t filesThere() const {
    auto begin = std::filesystem::directory_iterator(folder);
    return std::distance(begin, std::filesystem::directory_iterator());
  }

  std::string folder;
};
} // namespace

TEST_F(FileTest, WritesAndReads) {
  std::string path = joinPath(folder, "a");
  auto file = OutputFile::create(path);
  ASSERT_TRUE(file) << file.message();
  EXPECT_FALSE(file->write("hello"));
  EXPECT_EQ(file->position(), 5u);
  EXPECT_FALSE(fileExists(path));
  EXPECT_FALSE(file->commit());
  EXPECT_EQ(*readFile(path), "hello");
  EXPECT_THAT(readFile(path, 4).message(),
              HasSubstr("found 5 bytes, expected at most 4"));
  EXPECT_EQ(filesThere(), 1u);
}

TEST_F(FileTest, AbandonedOutputLeavesNothing) {
  {
    auto file = OutputFile::create(joinPath(folder, "a"));
    ASSERT_TRUE(file);
    EXPECT_FALSE(file->write("hello"));
    EXPECT_EQ(filesThere(), 1u);
  }
  EXPECT_EQ(filesThere(), 0u);
}

TEST_F(FileTest, OldFileStaysUntilCommit) {
  std::string path = joinPath(folder, "a");
  for (const char *text : {"old", "new"}) {
    auto file = OutputFile::create(path);
    ASSERT_TRUE(file);
    EXPECT_FALSE(file->write(text));
    if (std::string(text) == "old")
      EXPECT_FALSE(file->commit());
  }
  EXPECT_EQ(*readFile(path), "old");
}

TEST_F(FileTest, FullDiskIsAnError) {
  if (!fileExists("/dev/full"))
    GTEST_SKIP() << "no /dev/full here";
  auto file = OutputFile::create("/dev/full");
  ASSERT_TRUE(file) << file.message();
  Error error = file->write("hello");
  ASSERT_TRUE(error);
  EXPECT_THAT(error.message(), HasSubstr("No space left"));
}

TEST_F(FileTest, RefusesWhatIsNoFile) {
  EXPECT_EQ(MappedFile::open(folder).message(),
            folder + ": found a directory, expected a file");
  EXPECT_THAT(MappedFile::open(folder + "/none").message(),
              HasSubstr("No such file"));
  EXPECT_THAT(OutputFile::create(folder).message(), HasSubstr("a directory"));
  EXPECT_THAT(OutputFile::create(folder + "/none/a").message(),
              HasSubstr("cannot be written"));
  std::string pipe = joinPath(folder, "pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(MappedFile::open(pipe).message(), HasSubstr("a device or pipe"));
}

TEST_F(FileTest, EmptyFileHasNoBytes) {
  std::string path = joinPath(folder, "a");
  {
    auto file = OutputFile::create(path);
    ASSERT_TRUE(file);
    EXPECT_FALSE(file->commit());
  }
  auto mapped = MappedFile::open(path);
  ASSERT_TRUE(mapped);
  EXPECT_EQ((*mapped)->size(), 0u);
  EXPECT_EQ((*mapped)->text(), "");
}
