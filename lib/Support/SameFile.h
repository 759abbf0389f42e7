//===- SameFile.h - Outputs that would replace an input ---------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_SUPPORT_SAMEFILE_H
#define QUERN_LIB_SUPPORT_SAMEFILE_H

#include "lib/Support/Status.h"

#include <string>
#include <vector>

namespace quern {

/// An error if `output` is one of the files that are read, by whatever path;
/// empty names and files that do not exist are none.
Error keepInputs(const std::string &output,
                 const std::vector<std::string> &inputs);

} // namespace quern

#endif // QUERN_LIB_SUPPORT_SAMEFILE_H
