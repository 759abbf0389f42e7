//===- DeviceAssembly.h - What NVIDIA's assembler says of a module --------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Kernels of a module, assembled for every generation that it has text for:
// none calls anything, spills, or has more registers than its block may have.
// The driver has the same assembler. A kernel that passed once, as
// QUERN_CACHE_DIR remembers, is not assembled again: most modules share most of
// theirs.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_E2E_DEVICEASSEMBLY_H
#define QUERN_TEST_E2E_DEVICEASSEMBLY_H

#include "lib/Target/NVPTX/DeviceProgram.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/xxhash.h"
#include "gtest/gtest.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>

namespace quern::test {

/// The assembler: that of QUERN_PTXAS, of the Python environment, or in PATH;
/// "" if there is none.
inline std::string findAssembler() {
  if (const char *named = std::getenv("QUERN_PTXAS"))
    return named;
  const char *source = std::getenv("QUERN_SOURCE_DIR");
  namespace fs = std::filesystem;
  std::error_code none;
  for (const auto &python : fs::directory_iterator(
           std::string(source ? source : ".") + "/.venv/lib", none))
    for (const auto &package : fs::directory_iterator(
             python.path() / "site-packages" / "nvidia", none))
      if (fs::exists(package.path() / "bin" / "ptxas", none))
        return package.path() / "bin" / "ptxas";
  auto found = llvm::sys::findProgramByName("ptxas");
  return found ? *found : "";
}

class DeviceAssembly {
public:
  explicit DeviceAssembly(std::string assembler)
      : assembler(std::move(assembler)) {
    if (const char *cache = std::getenv("QUERN_CACHE_DIR"))
      passed = std::string(cache) + "/ptx";
  }

  /// Failures of the test for kernels of a module for sequences of at most
  /// `longest` tokens.
  void check(const nvptx::DeviceProgram &program, int64_t longest) {
    for (const nvptx::DeviceText &text : program.code) {
      bool isPortable = text.variant == nvptx::PtxVariant::Sm80;
      // What the smallest of these devices grants a block.
      int64_t mostShared = (isPortable ? 99 : 227) * 1024;
      std::map<std::string, int64_t> threads;
      for (const nvptx::DeviceKernel &kernel : program.kernels) {
        threads[kernel.name] = kernel.threads;
        bool isHopper = llvm::StringRef(kernel.name).starts_with("wgmma");
        EXPECT_LE(kernel.sharedBytes + kernel.sharedPerKey * longest,
                  isHopper ? 227 * 1024 : mostShared)
            << kernel.name;
      }
      std::vector<const char *> generations = {"sm_90a"};
      if (isPortable)
        generations = {"sm_80", "sm_89", "sm_90a"};
      for (const char *generation : generations)
        checkText(text.ptx, generation, threads);
    }
  }

private:
  using Threads = std::map<std::string, int64_t>;

  void checkText(llvm::StringRef text, const std::string &generation,
                 const Threads &threads) {
    for (const char *word : {"__nv_", ".extern .func", ".approx", "fma.rn"})
      EXPECT_FALSE(text.contains(word)) << word;
    constexpr llvm::StringLiteral entry = ".visible .entry ";
    llvm::SmallVector<llvm::StringRef> kernels;
    text.split(kernels, entry);
    std::string left = kernels[0].str();
    std::vector<std::string> names, marks;
    for (llvm::StringRef kernel : llvm::drop_begin(kernels)) {
      std::string mark =
          passed + "/" + generation + "-" +
          llvm::utohexstr(llvm::xxh3_64bits((kernel + assembler).str()));
      if (!passed.empty() && llvm::sys::fs::exists(mark))
        continue;
      names.push_back(kernel.take_until([](char c) { return c == '('; }).str());
      marks.push_back(mark);
      left += (entry + kernel).str();
    }
    if (names.empty())
      return;
    std::string report = assemble(left, generation);
    bool holds = true;
    for (const std::string &name : names)
      holds &= checkReport(report, name, threads.at(name));
    if (passed.empty() || !holds || testing::Test::HasFailure())
      return;
    llvm::sys::fs::create_directories(passed);
    for (const std::string &mark : marks)
      std::ofstream(mark).flush();
  }

  std::string assemble(const std::string &text, const std::string &generation) {
    // That of the test may be in use.
    llvm::SmallString<128> folder;
    EXPECT_FALSE(llvm::sys::fs::createUniqueDirectory("quern-ptx", folder));
    std::string input = (folder + "/k.ptx").str(),
                log = (folder + "/log").str();
    std::string output = (folder + "/k.cubin").str();
    std::ofstream(input) << text;
    std::string target = "-arch=" + generation;
    std::optional<llvm::StringRef> redirects[] = {std::nullopt, log, log};
    int code = llvm::sys::ExecuteAndWait(
        assembler, {assembler, "-v", target, input, "-o", output}, std::nullopt,
        redirects);
    auto report = llvm::MemoryBuffer::getFile(log);
    std::string said = report ? (*report)->getBuffer().str() : "";
    llvm::sys::fs::remove_directories(folder);
    EXPECT_EQ(code, 0) << generation << ": " << said;
    EXPECT_EQ(said.find("warning"), std::string::npos) << said;
    return said;
  }

  /// What follows "Function properties for NAME".
  static bool checkReport(const std::string &report, const std::string &name,
                          int64_t threads) {
    size_t at = report.find("properties for " + name + "\n");
    if (at == std::string::npos) {
      ADD_FAILURE() << name << ": nothing said of it in " << report;
      return false;
    }
    std::string said = report.substr(at, report.find("Compiling", at) - at);
    EXPECT_NE(said.find("0 bytes stack frame, 0 bytes spill stores, 0 bytes "
                        "spill loads"),
              std::string::npos)
        << said;
    std::smatch used;
    bool isCounted =
        std::regex_search(said, used, std::regex("Used (\\d+) registers"));
    EXPECT_TRUE(isCounted) << said;
    // A block has 65536; warps get eight of each thread at once.
    EXPECT_LE((std::stol(isCounted ? used[1].str() : "0") + 7) / 8 * 8 *
                  threads,
              65536)
        << said;
    // All shared memory is asked for at the launch.
    EXPECT_FALSE(std::regex_search(said, std::regex("[1-9]\\d* bytes smem")))
        << said;
    return isCounted;
  }

  std::string assembler, passed;
};

} // namespace quern::test

#endif // QUERN_TEST_E2E_DEVICEASSEMBLY_H
