//===- TestModule.h - a module made by hand -------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Writes what the compiler would write for TestKernels.c: manifest, tokenizer,
// weights, trailer. Tests bend it before it is written.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_TEST_RUNTIME_TESTMODULE_H
#define QUERN_TEST_RUNTIME_TESTMODULE_H

#include "quern/introspect.h"
#include "runtime/src/manifest_generated.h"

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace quern::test {

/// The parts of a module file, in memory.
struct TestModule {
  /// The manifest as objects, for tests to alter before pack().
  manifest::ManifestT manifest;
  std::string code, tokenizer, weights;
  /// Made by pack().
  std::string manifestBytes;

  TestModule();

  /// Serializes the manifest.
  void pack();
  /// Lays the parts out and adds a correct trailer.
  std::string file() const;
  /// An image whose parts live in this object. Call pack() before, and alter
  /// nothing after.
  quern_linked_image image() const;

  /// The weights where kernels may read them. Made by pack().
  std::unique_ptr<char, void (*)(void *)> alignedWeights{nullptr, free};

  /// What the model gives for one sequence: three numbers.
  std::vector<float> expected(const std::vector<int> &ids,
                              const std::vector<int> &types = {}) const;
};

/// Makes the model one of images with one channel, `size` pixels high and wide,
/// in square patches. Its tokenizer is not for them.
void takeImages(manifest::ManifestT &manifest, uint32_t size, uint32_t patch);

/// Recomputes the trailer's own checksum at the end of `file`.
void sealTrailer(std::string &file);

/// Bytes of a file.
std::string readFile(const std::string &path);

/// A file under the test's temporary folder, removed at the end.
class TemporaryFile {
public:
  explicit TemporaryFile(const std::string &contents);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile &) = delete;
  TemporaryFile &operator=(const TemporaryFile &) = delete;
  const char *path() const { return name.c_str(); }

private:
  std::string name;
};

/// Standard output of a shell command; fails the test where it fails.
std::string outputOf(const std::string &command);

} // namespace quern::test

#endif // QUERN_TEST_RUNTIME_TESTMODULE_H
