//===- VisionGraph.h - A ViT or DeiT encoder as a tq function -------------===//
//
// Builds the L0 module of a vision transformer (pre-LayerNorm): the function
// @forward on patches, positions and offsets.
//
// Patches are rows of f32, one a token: the pixels of a patch, channel by
// channel and line by line, as the weights of the patch embedding lie; zeros
// for the tokens that are no patch. Row t of the position table holds the
// position's embedding and, for these tokens, the learned token, for others
// the bias of the patch embedding: all that is added to the product.
//
// Sites have the names that they have in BERT, for values that the same
// things read: `emb` and `z` are the LayerNorms before attention and, of the
// last layer, before the head, `x` the one before the FFN, `u` and `y` the
// sums after attention and FFN; E.i are the pixels.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_IMPORT_VISIONGRAPH_H
#define QUERN_COMPILER_IMPORT_VISIONGRAPH_H

#include "compiler/Import/Checkpoint.h"
#include "compiler/Import/ModelInfo.h"
#include "lib/Support/Status.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace quern {

/// Builds the module (GraphBuilder::build). `info.image` must be there.
Expected<mlir::OwningOpRef<mlir::ModuleOp>>
buildVisionGraph(mlir::MLIRContext &context, const ModelInfo &info,
                 Checkpoint &checkpoint);

} // namespace quern

#endif // QUERN_COMPILER_IMPORT_VISIONGRAPH_H
