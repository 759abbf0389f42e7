//===- TQOps.h - Ops of the tq dialect --------------------------*- C++ -*-===//
//
// Part of Quern. Include this to create or match tq ops.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_DIALECTS_TQ_TQOPS_H
#define QUERN_DIALECTS_TQ_TQOPS_H

#include "dialects/TQ/TQDialect.h"
#include "dialects/TQ/TQTypes.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#define GET_OP_CLASSES
#include "dialects/TQ/TQOps.h.inc"

#endif // QUERN_DIALECTS_TQ_TQOPS_H
