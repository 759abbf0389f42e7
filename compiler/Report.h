//===- Report.h - What a compilation decided --------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_REPORT_H
#define QUERN_COMPILER_REPORT_H

#include "compiler/Compiler.h"
#include "compiler/Emit/ObjectCode.h"

#include "mlir/IR/BuiltinOps.h"

#include <vector>

namespace quern {

/// For people, for machines, for a browser (one file, nothing loaded).
enum class ReportFormat { Text, Json, Html };

/// The report of a finished compilation: time by stage, every site and its
/// scheme, and for every launch the kernel, its shape, its instruction family
/// on each tier and its sites.
std::string compileReport(const CompileRequest &request,
                          const CompileResult &result,
                          const std::vector<Tier> &tiers, mlir::ModuleOp module,
                          ReportFormat format);

} // namespace quern

#endif // QUERN_COMPILER_REPORT_H
