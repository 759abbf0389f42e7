//===- KernelCacheTest.cpp - Kept objects are those that would be made ----===//
#include "compiler/Emit/KernelCache.h"

#include "compiler/Emit/KernelObjects.h"
#include "lib/Support/File.h"
#include "test/support/KernelRunner.h"
#include "test/support/TempFolder.h"

#include "gtest/gtest.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <sys/resource.h>

using namespace quern;
using namespace quern::test;

namespace {
/// Sets QUERN_CACHE_DIR for a scope.
class CacheFolder {
public:
  explicit CacheFolder(const std::string &folder) {
    const char *old = std::getenv("QUERN_CACHE_DIR");
    before = old ? old : "";
    ::setenv("QUERN_CACHE_DIR", folder.c_str(), 1);
  }
  ~CacheFolder() { ::setenv("QUERN_CACHE_DIR", before.c_str(), 1); }

private:
  std::string before;
};

/// What get() returns, and whether it had to be made.
struct Got {
  std::string object;
  bool made;
};

Got get(const KernelCache &cache, const std::string &text,
        const std::string &tag, const std::string &object) {
  Got result = {"", false};
  auto got = cache.get(text, tag, [&]() -> Expected<std::string> {
    result.made = true;
    return object;
  });
  EXPECT_TRUE(got) << got.message();
  if (got)
    result.object = *got;
  return result;
}

/// Two kernels, one of them with a variant for tiers with a library.
const char *const kKernels = R"mlir(
func.func @one(%out: memref<?xi8>, %tokens: index, %sequences: index,
               %flags: index, %begin: index, %end: index,
               %scratch: memref<?xi8>) attributes {tk.kernel} {
  %c = arith.constant 1 : i8
  memref.store %c, %out[%begin] : memref<?xi8>
  return
}
func.func @two(%out: memref<?xi8>, %tokens: index, %sequences: index,
               %flags: index, %begin: index, %end: index,
               %scratch: memref<?xi8>) attributes {tk.kernel} {
  %c = arith.constant 2 : i8
  memref.store %c, %out[%begin] : memref<?xi8>
  return
}
func.func @two.library(%out: memref<?xi8>, %tokens: index, %sequences: index,
                       %flags: index, %begin: index, %end: index,
                       %scratch: memref<?xi8>)
    attributes {tk.kernel, tk.variant_of = @two, tk.variant = "library"} {
  %c = arith.constant 2 : i8
  memref.store %c, %out[%begin] : memref<?xi8>
  return
}
)mlir";
} // namespace

TEST(KernelCache, KeepsWhatWasMade) {
  TempFolder folder;
  KernelCache cache(folder.path(), "build");
  std::string object("\0an object\n", 11);
  EXPECT_TRUE(get(cache, "text", "avx2", object).made);
  Got again = get(cache, "text", "avx2", "never taken");
  EXPECT_FALSE(again.made);
  EXPECT_EQ(again.object, object);
  // Another process sees it too.
  EXPECT_FALSE(
      get(KernelCache(folder.path(), "build"), "text", "avx2", "").made);
}

TEST(KernelCache, TellsTextsTiersAndBuildsApart) {
  TempFolder folder;
  KernelCache cache(folder.path(), "build");
  get(cache, "text", "avx2", "first");
  EXPECT_TRUE(get(cache, "texta", "vx2", "moved border").made);
  EXPECT_TRUE(get(cache, "text", "sse2", "tier").made);
  EXPECT_TRUE(
      get(KernelCache(folder.path(), "other"), "text", "avx2", "b").made);
  EXPECT_EQ(get(cache, "text", "avx2", "x").object, "first");
}

TEST(KernelCache, MakesAgainWhatIsNotWhole) {
  for (int damage = 0; damage < 3; ++damage) {
    SCOPED_TRACE(damage);
    TempFolder folder;
    KernelCache cache(folder.path(), "build");
    get(cache, "text", "avx2", "an object");
    for (const auto &entry :
         std::filesystem::directory_iterator(folder.path())) {
      auto bytes = readFile(entry.path());
      ASSERT_TRUE(bytes);
      if (damage == 0)
        bytes->pop_back();
      else if (damage == 1)
        bytes->back() ^= 1;
      else
        bytes->resize(7);
      ASSERT_FALSE(writeFile(entry.path(), *bytes));
    }
    Got got = get(cache, "text", "avx2", "an object");
    EXPECT_TRUE(got.made);
    EXPECT_EQ(got.object, "an object");
    get(cache, "text", "avx2", "an object");
    EXPECT_FALSE(get(cache, "text", "avx2", "").made);
  }
}

TEST(KernelCache, FailuresAreNotKept) {
  TempFolder folder;
  KernelCache cache(folder.path(), "build");
  auto failed = cache.get("text", "avx2", []() -> Expected<std::string> {
    return Error("no such instruction");
  });
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.message(), "no such instruction");
  EXPECT_TRUE(get(cache, "text", "avx2", "object").made);
}

TEST(KernelCache, FolderThatCannotBeMadeIsAnError) {
  TempFolder folder;
  ASSERT_FALSE(writeFile(folder.file("file"), "x"));
  CacheFolder set(folder.file("file") + "/kernels");
  auto cache = KernelCache::fromEnvironment();
  ASSERT_FALSE(cache);
  EXPECT_NE(cache.message().find("cannot be created"), std::string::npos);
  EXPECT_NE(cache.message().find("QUERN_CACHE_DIR"), std::string::npos);
}

/// A limit on the size of files is what a full disk is.
TEST(KernelCache, NothingStaysOfWhatDoesNotFit) {
  TempFolder folder;
  KernelCache cache(folder.path(), "build");
  const std::string object(100000, 'x');
  auto make = [&]() -> Expected<std::string> { return object; };
  // LLVM takes signals when it writes its first file, so ours comes after.
  get(cache, "text", "sse2", "small");
  auto files = [&] {
    return std::distance(std::filesystem::directory_iterator(folder.path()),
                         std::filesystem::directory_iterator());
  };
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit less = {50000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &less), 0);
  auto got = cache.get("text", "avx2", make);
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.message(), std::string(folder.path()) +
                               ": cannot be written: File too large, expected "
                               "room for kernels (QUERN_CACHE_DIR)");
  EXPECT_EQ(files(), 1);
  EXPECT_EQ(get(cache, "text", "avx2", object).object, object);
  EXPECT_EQ(files(), 2);
}

TEST(KernelCache, BuildsAreKnown) { EXPECT_GE(buildIdentity().size(), 40u); }

/// Kernel, entry and bytes of each object.
static std::vector<std::string>
describe(const std::vector<KernelObject> &objects) {
  std::vector<std::string> all;
  for (const KernelObject &object : objects)
    all.push_back(object.kernel + " " + object.entry + " " + object.bytes);
  return all;
}

TEST(KernelObjects, AreTheSameFromTheCache) {
  TempFolder folder;
  KernelRunner runner;
  ASSERT_TRUE(runner.parse(kKernels));
  std::vector<std::string> plain;
  {
    CacheFolder none("");
    auto objects = emitObjects(runner.module(), {Tier::Sse2});
    ASSERT_TRUE(objects) << objects.message();
    plain = describe(objects->front());
  }
  ASSERT_EQ(plain.size(), 2u);
  CacheFolder set(folder.file("kernels"));
  for (int turn = 0; turn < 2; ++turn) {
    auto objects = emitObjects(runner.module(), {Tier::Sse2});
    ASSERT_TRUE(objects) << objects.message();
    EXPECT_EQ(describe(objects->front()), plain);
  }
  // Kept under the text of one kernel: an altered neighbour changes nothing.
  runner.module().lookupSymbol("one")->erase();
  ObjectMaker none = {[](Tier) { return "sse2"; },
                      [](mlir::ModuleOp, Tier) -> Expected<std::string> {
                        return Error("made again");
                      }};
  auto rest = makeObjects(runner.module(), {Tier::Sse2}, none);
  ASSERT_TRUE(rest) << rest.message();
  EXPECT_EQ(describe(rest->front()), std::vector<std::string>{plain[1]});
}

TEST(KernelObjects, AmxHasCodeOfItsOwnForTilesOnly) {
  CacheFolder none("");
  KernelRunner runner;
  std::string text = kKernels;
  for (size_t at; (at = text.find("library")) != std::string::npos;)
    text.replace(at, 7, "tiles");
  ASSERT_TRUE(runner.parse(text));
  std::vector<std::string> made;
  ObjectMaker maker = {[](Tier tier) { return getTierName(tier).str(); },
                       [&](mlir::ModuleOp, Tier tier) {
                         made.push_back(getTierName(tier).str());
                         return Expected<std::string>("object of " +
                                                      made.back());
                       }};
  auto tiers =
      makeObjects(runner.module(), {Tier::Avx512Vnni, Tier::Amx}, maker);
  ASSERT_TRUE(tiers) << tiers.message();
  ASSERT_EQ(tiers->size(), 2u);
  const std::vector<KernelObject> &vnni = tiers->front(), &amx = tiers->back();
  ASSERT_EQ(vnni.size(), 2u);
  ASSERT_EQ(amx.size(), 2u);
  EXPECT_EQ(amx[0].entry, "one.avx512vnni");
  EXPECT_EQ(amx[0].bytes, vnni[0].bytes);
  EXPECT_EQ(amx[1].entry, "two.amx");
  EXPECT_EQ(amx[1].bytes, "object of amx");
  EXPECT_EQ(vnni[1].bytes, "object of avx512vnni");
  std::sort(made.begin(), made.end());
  EXPECT_EQ(made,
            (std::vector<std::string>{"amx", "avx512vnni", "avx512vnni"}));
}
