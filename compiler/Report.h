//===- Report.h - What a compilation decided --------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_REPORT_H
#define QUERN_COMPILER_REPORT_H

#include "compiler/Compiler.h"

#include "mlir/IR/BuiltinOps.h"

namespace quern {

/// The report of a finished compilation, as text or as one JSON object: time by
/// stage, and for every launch the kernel, its shape and its sites.
std::string compileReport(const CompileRequest &request,
                          const CompileResult &result, mlir::ModuleOp module,
                          bool json);

} // namespace quern

#endif // QUERN_COMPILER_REPORT_H
