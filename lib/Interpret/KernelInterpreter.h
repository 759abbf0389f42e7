//===- KernelInterpreter.h - The reference for tk kernels -------*- C++ -*-===//
//
// Part of Quern. Runs a kernel (L3) on buffers of bytes: every micro-op by its
// description, every access checked against the buffer's end. What a target
// computes must be equal to this bit for bit.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_LIB_INTERPRET_KERNELINTERPRETER_H
#define QUERN_LIB_INTERPRET_KERNELINTERPRETER_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Support/LLVM.h"

#include <memory>

namespace quern {

/// The arguments of a kernel that are not buffers.
struct KernelRange {
  int64_t tokens = 0;
  int64_t sequences = 0;
  /// Bit 0: taps are written.
  int64_t flags = 0;
  /// Chunks [begin, end).
  int64_t begin = 0;
  int64_t end = 0;
};

class KernelInterpreter {
public:
  /// Prepares a function with the attribute `tk.kernel`. An op that has no
  /// interpretation is a diagnostic.
  static mlir::FailureOr<KernelInterpreter> create(mlir::func::FuncOp kernel);

  KernelInterpreter(KernelInterpreter &&);
  ~KernelInterpreter();

  /// Runs the chunks. Buffers are those of the kernel in order; an access
  /// outside one is a diagnostic on the op, and nothing more is run.
  mlir::LogicalResult run(llvm::ArrayRef<llvm::MutableArrayRef<char>> buffers,
                          const KernelRange &range,
                          llvm::MutableArrayRef<char> scratch);

private:
  struct Code;
  explicit KernelInterpreter(std::unique_ptr<Code> code);
  std::unique_ptr<Code> code;
};

} // namespace quern

#endif // QUERN_LIB_INTERPRET_KERNELINTERPRETER_H
