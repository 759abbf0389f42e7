//===- StoredRanges.cpp - Ranges that were found before -------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Calibrate/StoredRanges.h"

#include "compiler/Calibrate/LearnedTable.h"
#include "compiler/Import/LearnedQuantizers.h"

#include "llvm/Support/Path.h"

using namespace quern;

Expected<RangeTable> quern::readStoredRanges(const std::string &path,
                                             const std::vector<Site> &sites,
                                             Recipe &recipe) {
  bool isCheckpoint = llvm::sys::path::extension(path) == ".safetensors";
  if (!isCheckpoint && recipe.readsBits(sites))
    return Error::make("recipe ", recipe.name(),
                       ": found \"bits\": "
                       "\"learned\"",
                       path.empty() ? "" : " beside --ranges " + path,
                       ", expected --ranges with the .safetensors file that "
                       "holds learned quantizers");
  if (!isCheckpoint)
    return loadRanges(path);
  Expected<LearnedQuantizers> learned = readLearnedQuantizers(path);
  if (!learned)
    return learned.takeError();
  if (Error error = adoptBits(*learned, sites, recipe))
    return error;
  return learnedRanges(*learned, sites, recipe);
}
