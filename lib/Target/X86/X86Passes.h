//===- X86Passes.h - Micro-ops to x86 instructions ------------------------===//
//
// One pass for each instruction family; it runs between tq-expand-math and
// tq-lower-micro-ops.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_X86_X86PASSES_H
#define QUERN_LIB_TARGET_X86_X86PASSES_H

#include "mlir/Pass/Pass.h"

namespace quern {

#define GEN_PASS_DECL
#include "lib/Target/X86/X86Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "lib/Target/X86/X86Passes.h.inc"

} // namespace quern

#endif // QUERN_LIB_TARGET_X86_X86PASSES_H
