//===- X86Passes.td - Micro-ops to x86 instructions -----------------------===//
#ifndef QUERN_LIB_TARGET_X86_X86PASSES
#define QUERN_LIB_TARGET_X86_X86PASSES

include "mlir/Pass/PassBase.td"

def LowerAvx512Vnni : Pass<"tq-x86-avx512vnni"> {
  let summary = "use AVX-512, VNNI and VBMI for micro-ops";
  let description = [{
    Replaces the micro-ops for which AVX-512 with VNNI and VBMI has
    instructions by calls of LLVM intrinsics; the others are left to
    `tq-lower-micro-ops`. Expects `tq-expand-math` to have run.

    ```mlir
    %r = tk.dot4 %acc, %a, %b
    ```
    becomes
    ```mlir
    %r = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%acc, %a, %b)
        : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
    ```

    Rounding to [0, 255] whose only user stores bytes becomes a maximum with
    0, a conversion, and a store with unsigned saturation: numbers from 2^31
    on convert to 0x80000000, which saturates to 255 as well.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::vector::VectorDialect"];
}

#endif // QUERN_LIB_TARGET_X86_X86PASSES
