//===- BertGraph.h - A BERT encoder as a tq function ----------------------===//
//
// Builds the L0 module of a BERT: the function @forward on packed tokens, in
// tq ops on f32 tensors, with a tq.observe at every site a quantizer may
// stand, weights as resources, facts in the module attribute tq.model.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_IMPORT_BERTGRAPH_H
#define QUERN_COMPILER_IMPORT_BERTGRAPH_H

#include "compiler/Import/Checkpoint.h"
#include "compiler/Import/ModelInfo.h"
#include "lib/Support/Status.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace quern {

/// Builds the module (GraphBuilder::build).
Expected<mlir::OwningOpRef<mlir::ModuleOp>>
buildBertGraph(mlir::MLIRContext &context, const ModelInfo &info,
               Checkpoint &checkpoint);

} // namespace quern

#endif // QUERN_COMPILER_IMPORT_BERTGRAPH_H
