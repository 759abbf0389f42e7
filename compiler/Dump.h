//===- Dump.h - A level as files to look at and run again -------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_DUMP_H
#define QUERN_COMPILER_DUMP_H

#include "lib/Support/Status.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace quern {

/// Writes `folder`/`name`, which quern-opt reads back. Of a model of more than
/// 4 MiB the text has no weights, and `name` + "bc" holds all as bytecode.
/// Error: a file that cannot be written.
Error writeDump(mlir::ModuleOp module, const std::string &folder,
                const std::string &name);

} // namespace quern

#endif // QUERN_COMPILER_DUMP_H
