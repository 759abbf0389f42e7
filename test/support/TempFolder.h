//===- TempFolder.h - A folder that goes away with its test ---------------===//
//
// Header only, for GoogleTest files that write files.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_SUPPORT_TEMPFOLDER_H
#define QUERN_TEST_SUPPORT_TEMPFOLDER_H

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <unistd.h>

namespace quern::test {

/// An empty folder, unique to the running test and process.
class TempFolder {
public:
  TempFolder() {
    const auto *info = testing::UnitTest::GetInstance()->current_test_info();
    name = testing::TempDir() + "quern-" + std::to_string(::getpid()) + "-" +
           info->test_suite_name() + "-" + info->name();
    std::filesystem::remove_all(name);
    std::filesystem::create_directories(name);
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(name, ignored);
  }
  TempFolder(const TempFolder &) = delete;
  TempFolder &operator=(const TempFolder &) = delete;

  /// The folder's path, without a slash at its end.
  const std::string &path() const { return name; }
  /// The path of a file in it.
  std::string file(const std::string &leaf) const { return name + "/" + leaf; }

private:
  std::string name;
};

} // namespace quern::test

#endif // QUERN_TEST_SUPPORT_TEMPFOLDER_H
