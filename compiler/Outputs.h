//===- Outputs.h - Where a compilation may write ----------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// checkOutputs is declared in Compiler.h.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_OUTPUTS_H
#define QUERN_COMPILER_OUTPUTS_H

#include "compiler/Compiler.h"

#include <string>
#include <vector>

namespace quern {

/// The files beside the dumps that a request asks for.
std::vector<std::string> outputsOf(const CompileRequest &request);

} // namespace quern

#endif // QUERN_COMPILER_OUTPUTS_H
