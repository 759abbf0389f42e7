//===- LowerPasses.td - Passes from kernels to the LLVM dialect -----------===//
#ifndef QUERN_LIB_LOWER_LOWERPASSES
#define QUERN_LIB_LOWER_LOWERPASSES

include "mlir/Pass/PassBase.td"

def IsolateKernels : Pass<"tq-isolate-kernels", "::mlir::ModuleOp"> {
  let summary = "keep the kernels, drop all else";
  let description = [{
    Removes programs, buffers, constants and functions that are no kernels, so
    that what follows becomes an object file of kernels only. Buffers and
    constants reach a kernel as pointers at run time; nothing in a kernel names
    them. Expects no calls from kernels to other functions.
  }];
  let statistics = [
    Statistic<"numKernels", "kernels", "kernels kept">
  ];
}

def ChooseVariants : Pass<"tq-choose-variants", "::mlir::ModuleOp"> {
  let summary = "keep of each kernel the form that the tier has";
  let description = [{
    A kernel with `tk.variant_of = @k` replaces @k, under its name, where the
    tier has the means that `tk.variant` names, and is removed where it has not.
    Of several, the one whose means come first is taken.

    ```mlir
    func.func @k(...) attributes {tk.kernel} {...}
    func.func @k.tiles(...)
        attributes {tk.kernel, tk.variant_of = @k, tk.variant = "tiles"} {...}
    ```
    with `means=tiles` becomes
    ```mlir
    func.func @k(...) attributes {tk.kernel} {/* of @k.tiles */}
    ```
  }];
  let options = [
    ListOption<"means", "means", "std::string",
               "What the tier has, the best first: library, small, tiles">
  ];
}

def ExpandMath : Pass<"tq-expand-math"> {
  let summary = "write the non-linear micro-ops as simple ones";
  let description = [{
    Replaces `tk.requant`, `tk.gelu`, `tk.gelu_tanh`, `tk.tanh` and `tk.exp` by
    the sequences of quant_math.h: arith ops on 16 lanes, `tk.lut16`, `tk.min`,
    `tk.max` and `tk.round`. All targets share this step; what remains is what
    a target may have an instruction for. No op gets a fast-math flag, so LLVM
    keeps each rounding.

    ```mlir
    %c = tk.requant %acc, %m, %o {lo = 0.0 : f32, hi = 255.0 : f32}
    ```
    becomes
    ```mlir
    %0 = arith.sitofp %acc : vector<16xi32> to vector<16xf32>
    %1 = arith.mulf %0, %m : vector<16xf32>
    %2 = arith.addf %1, %o : vector<16xf32>
    %c = tk.round %2 {lo = 0.0 : f32, hi = 255.0 : f32}
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::quern::tk::TKDialect"];
}

def LowerTiles : Pass<"tq-lower-tiles"> {
  let summary = "write tiles as vectors";
  let description = [{
    Replaces `tk.tile_load`, `tk.tile_dot` and `tk.tile_store` by vectors of
    512 bits and `tk.dot4`: what a kernel for tile registers computes, for
    machines that have none. Tiles that only these ops make and use, in one
    block, lie on the stack, and loops go over their rows; others are 16
    vectors.

    ```mlir
    %r = tk.tile_dot %acc, %a, %b
    ```
    becomes, where %acc lies in %m, %a in %x and %b in %w,
    ```mlir
    scf.for %row = %c0 to %c16 step %c1 {
      %at = arith.muli %row, %c64
      %0 = vector.load %m[%at] : memref<1024xi8>, vector<64xi8>
      %1 = vector.bitcast %0 : vector<64xi8> to vector<16xi32>
      %2 = tk.broadcast4 %x[%at] : memref<1024xi8>
      %3 = vector.load %w[%c0] : memref<1024xi8>, vector<64xi8>
      %4 = tk.dot4 %1, %2, %3
      // and 15 more of each, then a store to %m
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect"];
}

def LowerMicroOps : Pass<"tq-lower-micro-ops", "::mlir::ModuleOp"> {
  let summary = "write micro-ops as plain vector code";
  let description = [{
    The lowering of every micro-op that holds on any machine; targets run
    before it and take what they do better. Expects `tq-expand-math` to have
    run; a micro-op without a lowering is an error. Constant tables of
    `tk.lut16` become globals of the module.

    ```mlir
    %a = tk.broadcast4 %m[%i] : memref<?xi8>
    ```
    becomes
    ```mlir
    %0 = vector.load %m[%i] : memref<?xi8>, vector<4xi8>
    %1 = vector.bitcast %0 : vector<4xi8> to vector<1xi32>
    %2 = vector.broadcast %1 : vector<1xi32> to vector<16xi32>
    %a = vector.bitcast %2 : vector<16xi32> to vector<64xi8>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::memref::MemRefDialect",
                           "::mlir::vector::VectorDialect"];
}

def LowerEntry : Pass<"tq-lower-entry", "::mlir::ModuleOp"> {
  let summary = "give each kernel the entry that the run time calls";
  let description = [{
    Wraps each kernel, already in the LLVM dialect, in

    `void NAME(void *const *buffers, int64_t tokens, int64_t sequences,
    int64_t flags, int64_t begin, int64_t end, void *scratch)`

    which loads the buffer pointers and calls the kernel; the kernel itself
    becomes private and is inlined. Expects the arguments that
    `convert-func-to-llvm` makes of a kernel: five for each memref.
  }];
  let options = [
    Option<"suffix", "suffix", "std::string", /*default=*/"\"\"",
           "Added to the name of each entry, for one per tier">
  ];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif // QUERN_LIB_LOWER_LOWERPASSES
