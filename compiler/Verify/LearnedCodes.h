//===- LearnedCodes.h - Codes of weights out of a module --------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_VERIFY_LEARNEDCODES_H
#define QUERN_COMPILER_VERIFY_LEARNEDCODES_H

#include "lib/Support/Status.h"
#include "runtime/include/quern/introspect.h"

#include "mlir/IR/BuiltinOps.h"

namespace quern {

/// Replaces the codes of the linear layers of `simulation` (L1) by those that
/// the launches of a module read. Both levels were made from the module's
/// scheme with nearest codes, from which every code of the module must be at
/// most one away.
Error takeCodesOf(const quern_module *module, const std::string &name,
                  mlir::ModuleOp simulation, mlir::ModuleOp integer);

} // namespace quern

#endif // QUERN_COMPILER_VERIFY_LEARNEDCODES_H
