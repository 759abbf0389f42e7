//===- SameFile.cpp - Outputs that would replace an input -----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Support/SameFile.h"

#include <filesystem>

namespace quern {

Error keepInputs(const std::string &output,
                 const std::vector<std::string> &inputs) {
  std::error_code code;
  // Devices and pipes are not replaced.
  if (!std::filesystem::is_regular_file(output, code))
    return Error::success();
  for (const std::string &input : inputs)
    if (std::filesystem::equivalent(output, input, code) && !code)
      return Error::make(output, ": found one file for an input and an output, "
                                 "expected different ones");
  return Error::success();
}

} // namespace quern
