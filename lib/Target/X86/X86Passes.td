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

def LowerAvx512Bw : Pass<"tq-x86-avx512bw"> {
  let summary = "use AVX-512 without VNNI and VBMI for micro-ops";
  let description = [{
    As `tq-x86-avx512vnni`, but dot products of bytes are those of `tq-x86-avx2`
    in vectors of 512 bits, as are look-ups of bytes.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::vector::VectorDialect"];
}

def LowerAmx : Pass<"tq-x86-amx"> {
  let summary = "use AMX-INT8 for tiles";
  let description = [{
    Replaces `tk.tile_load`, `tk.tile_dot` and `tk.tile_store` by calls of the
    LLVM intrinsics whose tiles LLVM allocates. Tiles must not leave these ops,
    and begin as zeros or loads. Where the pass does not run,
    `tq-lower-micro-ops` makes vectors of 512 bits of tiles, and the same sums.

    ```mlir
    %r = tk.tile_dot %acc, %a, %b
    ```
    becomes
    ```mlir
    %r = llvm.call_intrinsic "llvm.x86.tdpbusd.internal"
        (%c16, %c64, %c64, %acc, %a, %b)
        : (i16, i16, i16, !llvm.x86_amx, !llvm.x86_amx, !llvm.x86_amx)
        -> !llvm.x86_amx
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::memref::MemRefDialect"];
}

def LowerAvx2 : Pass<"tq-x86-avx2"> {
  let summary = "use AVX2 for micro-ops";
  let description = [{
    Replaces dot products and look-ups by calls of LLVM intrinsics; the other
    micro-ops are left to `tq-lower-micro-ops`, whose plain code LLVM turns
    into vectors of 256 bits. Expects `tq-expand-math` to have run.

    A dot product of bytes becomes `vpmaddwd` on the even bytes and on the odd
    ones. `vpmaddubsw` would need half as many, but its sums saturate.

    ```mlir
    %r = tk.lut16 %table, %index
    ```
    becomes, for each half of %index, two of
    ```mlir
    %r = llvm.call_intrinsic "llvm.x86.avx2.permps"(%half, %index)
        : (vector<8xf32>, vector<8xi32>) -> vector<8xf32>
    ```
    between which the fourth bit of the index chooses.
  }];
  let options = [
    Option<"vnni", "vnni", "bool", /*default=*/"false",
           "The CPU has AVX-VNNI: dot products become vpdpbusd of 256 bits">
  ];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::vector::VectorDialect"];
}

def LowerProducts : Pass<"tq-x86-products", "::mlir::ModuleOp"> {
  let summary = "call the library of products of a tier";
  let description = [{
    Replaces `tk.product` by a call of `quern_product_TIER_wBITS`
    (runtime/kernels/halide/product.c), which is linked to the kernels.

    ```mlir
    tk.product %x[%i], %w[%j], %out[%o] rows(%rows) {...}
    ```
    becomes
    ```mlir
    llvm.call @quern_product_avx2_w8(%xp, %x_stride, %wp, %panel_bytes,
                                     %turns, %panels, %rows_up, %outp)
    ```
  }];
  let options = [
    Option<"tier", "tier", "std::string", /*default=*/"\"avx2\"",
           "The part TIER of the symbol">
  ];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::memref::MemRefDialect"];
}

#endif // QUERN_LIB_TARGET_X86_X86PASSES
