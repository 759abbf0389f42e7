//===- TilePasses.td - From the graph to kernels --------------*- tablegen -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_TILEPASSES
#define QUERN_LIB_TILE_TILEPASSES

include "mlir/Pass/PassBase.td"

def TileProgram : Pass<"tq-tile-program", "::mlir::ModuleOp"> {
  let summary = "Turn the graph into kernels and the program that launches them";
  let description = [{
    Every op of `@forward` (L2, or L0 for float programs) becomes a launch of a
    kernel over chunks of tokens or sequences. Layers of one shape share a
    kernel: what differs between them are constants. Weights are packed into
    the layout of their kernel here, once. Values become buffers of a planned
    arena (`tk.arena`), the inner sites of fused ops become taps.

    Expects: one function `@forward(ids, types, positions, offsets)` whose
    constants are resources. Removes it.

    ```mlir
    func.func @forward(...) -> tensor<?x8xf32> {
      %0 = tq.embedding ...
      %y = tq.linear %x, %w, %b : ...
    }
    ```
    becomes
    ```mlir
    func.func @linear_f32_4x8(%x: memref<?xf32>, ...) attributes {tk.kernel}
    tk.buffer @output kind(output) unit(tokens) bytes(256) : f32
    tk.data @linear.0.w = dense_resource<linear.0.w> : tensor<64xf32>
    tk.program @forward {
      tk.launch @linear_f32_4x8 [@x, @linear.0.w, @linear.0.b, @output]
        chunks(base = tokens, divide = 128, multiply = 1)
    }
    ```
  }];
  let statistics = [
    Statistic<"kernelCount", "kernels", "Kernels made">,
    Statistic<"launchCount", "launches", "Launches of kernels">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect",
    "::quern::tk::TKDialect"
  ];
}

#endif // QUERN_LIB_TILE_TILEPASSES
