//===- TilePasses.h - From the graph to kernels -----------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_TILEPASSES_H
#define QUERN_LIB_TILE_TILEPASSES_H

#include "mlir/Pass/Pass.h"

namespace quern {

#define GEN_PASS_DECL
#include "lib/Tile/TilePasses.h.inc"

#define GEN_PASS_REGISTRATION
#include "lib/Tile/TilePasses.h.inc"

/// L2 (or float L0) to L3: the stage's passes in order.
void buildTilePipeline(mlir::OpPassManager &pm);

/// Registers tq-tile-pipeline.
void registerTilePipelines();

} // namespace quern

#endif // QUERN_LIB_TILE_TILEPASSES_H
