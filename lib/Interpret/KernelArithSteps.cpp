//===- KernelArithSteps.cpp - arith and math in kernels -------------------===//
//
// Part of Quern. Lane by lane; floats in their own precision, never fused.
//
//===----------------------------------------------------------------------===//

#include "lib/Interpret/KernelSteps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;
using namespace quern;

/// result[l] = f(a[l]), cut to the result's width.
template <typename F>
static Step unary(Operation *op, StepBuilder &builder, F f) {
  unsigned x = builder.slot(op->getOperand(0));
  unsigned result = builder.slot(op->getResult(0));
  unsigned bits = bitsOf(op->getResult(0).getType());
  return [=](Frame &frame) {
    const Lanes &a = frame.slots[x];
    Lanes &out = frame.slots[result];
    out.resize(a.size());
    for (size_t l = 0; l < a.size(); ++l)
      out[l] = lowBits(f(a[l]), bits);
    return true;
  };
}

/// result[l] = f(a[l], b[l]), cut to the result's width.
template <typename F>
static Step binary(Operation *op, StepBuilder &builder, F f) {
  unsigned x = builder.slot(op->getOperand(0));
  unsigned y = builder.slot(op->getOperand(1));
  unsigned result = builder.slot(op->getResult(0));
  unsigned bits = bitsOf(op->getResult(0).getType());
  return [=](Frame &frame) {
    const Lanes &a = frame.slots[x], &b = frame.slots[y];
    Lanes &out = frame.slots[result];
    out.resize(a.size());
    for (size_t l = 0; l < a.size(); ++l)
      out[l] = lowBits(f(a[l], b[l]), bits);
    return true;
  };
}

/// As binary, in f32 or f64 by the type.
template <typename F>
static Step floatBinary(Operation *op, StepBuilder &builder, F f) {
  if (bitsOf(op->getResult(0).getType()) == 32)
    return binary(op, builder, [f](uint64_t a, uint64_t b) {
      return fromFloat(f(asFloat(a), asFloat(b)));
    });
  return binary(op, builder, [f](uint64_t a, uint64_t b) {
    return llvm::bit_cast<uint64_t>(
        f(llvm::bit_cast<double>(a), llvm::bit_cast<double>(b)));
  });
}

/// An integer quotient or remainder; division by zero is a diagnostic.
template <typename F>
static Step dividing(Operation *op, StepBuilder &builder, F f) {
  Step step = binary(op, builder,
                     [f](uint64_t a, uint64_t b) { return b ? f(a, b) : 0; });
  unsigned divisor = builder.slot(op->getOperand(1));
  return [=](Frame &frame) {
    if (llvm::is_contained(frame.slots[divisor], uint64_t(0))) {
      op->emitOpError("divides by zero");
      return false;
    }
    return step(frame);
  };
}

static Step makeConstant(arith::ConstantOp op, StepBuilder &builder) {
  Lanes value;
  if (auto integer = dyn_cast<IntegerAttr>(op.getValue()))
    value.push_back(
        lowBits(integer.getValue().getZExtValue(), bitsOf(op.getType())));
  else if (auto real = dyn_cast<FloatAttr>(op.getValue()))
    value.push_back(real.getValue().bitcastToAPInt().getZExtValue());
  else if (auto dense = dyn_cast<DenseIntElementsAttr>(op.getValue()))
    for (const APInt &lane : dense.getValues<APInt>())
      value.push_back(lane.getZExtValue());
  else if (auto dense = dyn_cast<DenseFPElementsAttr>(op.getValue()))
    for (const APFloat &lane : dense.getValues<APFloat>())
      value.push_back(lane.bitcastToAPInt().getZExtValue());
  else
    return {};
  unsigned result = builder.slot(op.getResult());
  return [=](Frame &frame) {
    frame.slots[result] = value;
    return true;
  };
}

static bool compare(arith::CmpIPredicate predicate, uint64_t a, uint64_t b,
                    unsigned bits) {
  int64_t sa = signedBits(a, bits), sb = signedBits(b, bits);
  switch (predicate) {
  case arith::CmpIPredicate::eq:
    return a == b;
  case arith::CmpIPredicate::ne:
    return a != b;
  case arith::CmpIPredicate::slt:
    return sa < sb;
  case arith::CmpIPredicate::sle:
    return sa <= sb;
  case arith::CmpIPredicate::sgt:
    return sa > sb;
  case arith::CmpIPredicate::sge:
    return sa >= sb;
  case arith::CmpIPredicate::ult:
    return a < b;
  case arith::CmpIPredicate::ule:
    return a <= b;
  case arith::CmpIPredicate::ugt:
    return a > b;
  case arith::CmpIPredicate::uge:
    return a >= b;
  }
  llvm_unreachable("all predicates are handled");
}

static Step makeSelect(arith::SelectOp op, StepBuilder &builder) {
  unsigned condition = builder.slot(op.getCondition());
  unsigned x = builder.slot(op.getTrueValue());
  unsigned y = builder.slot(op.getFalseValue());
  unsigned result = builder.slot(op.getResult());
  return [=](Frame &frame) {
    const Lanes &c = frame.slots[condition];
    Lanes out = frame.slots[y];
    for (size_t l = 0; l < out.size(); ++l)
      if (c[c.size() == 1 ? 0 : l])
        out[l] = frame.slots[x][l];
    frame.slots[result] = std::move(out);
    return true;
  };
}

/// Signed or unsigned integer to f32 or f64, nearest even.
template <typename Integer>
static Step toFloat(Operation *op, StepBuilder &builder) {
  unsigned from = bitsOf(op->getOperand(0).getType());
  bool isSigned = std::is_signed_v<Integer>;
  auto read = [=](uint64_t a) {
    return isSigned ? Integer(signedBits(a, from)) : Integer(a);
  };
  if (bitsOf(op->getResult(0).getType()) == 32)
    return unary(op, builder,
                 [=](uint64_t a) { return fromFloat(float(read(a))); });
  return unary(op, builder, [=](uint64_t a) {
    return llvm::bit_cast<uint64_t>(double(read(a)));
  });
}

static Step makeConversion(Operation *op, StepBuilder &builder) {
  unsigned from = bitsOf(op->getOperand(0).getType());
  return TypeSwitch<Operation *, Step>(op)
      .Case<arith::ExtUIOp, arith::TruncIOp, arith::IndexCastUIOp,
            arith::BitcastOp>([&](auto) {
        return unary(op, builder, [](uint64_t a) { return a; });
      })
      .Case<arith::ExtSIOp, arith::IndexCastOp>([&](auto) {
        return unary(op, builder,
                     [=](uint64_t a) { return uint64_t(signedBits(a, from)); });
      })
      .Case([&](arith::SIToFPOp) { return toFloat<int64_t>(op, builder); })
      .Case([&](arith::UIToFPOp) { return toFloat<uint64_t>(op, builder); })
      .Case([&](arith::FPToSIOp) {
        return unary(op, builder, [=](uint64_t a) {
          double v =
              from == 32 ? double(asFloat(a)) : llvm::bit_cast<double>(a);
          // What x86 gives for a value that does not fit.
          return std::fabs(v) < 9.2e18 ? uint64_t(int64_t(v))
                                       : uint64_t(INT64_MIN);
        });
      })
      .Case([&](arith::ExtFOp) {
        return unary(op, builder, [](uint64_t a) {
          return llvm::bit_cast<uint64_t>(double(asFloat(a)));
        });
      })
      .Case([&](arith::TruncFOp) {
        return unary(op, builder, [](uint64_t a) {
          return fromFloat(float(llvm::bit_cast<double>(a)));
        });
      })
      .Default([](Operation *) { return Step(); });
}

static Step makeInteger(Operation *op, StepBuilder &builder) {
  auto make = [&](auto f) { return binary(op, builder, f); };
  using W = uint64_t;
  unsigned bits = bitsOf(op->getOperand(0).getType());
  return TypeSwitch<Operation *, Step>(op)
      .Case([&](arith::AddIOp) { return make([](W a, W b) { return a + b; }); })
      .Case([&](arith::SubIOp) { return make([](W a, W b) { return a - b; }); })
      .Case([&](arith::MulIOp) { return make([](W a, W b) { return a * b; }); })
      .Case([&](arith::AndIOp) { return make([](W a, W b) { return a & b; }); })
      .Case([&](arith::OrIOp) { return make([](W a, W b) { return a | b; }); })
      .Case([&](arith::XOrIOp) { return make([](W a, W b) { return a ^ b; }); })
      .Case([&](arith::ShLIOp) {
        return make([=](W a, W b) { return b < bits ? a << b : 0; });
      })
      .Case([&](arith::ShRUIOp) {
        return make([=](W a, W b) { return b < bits ? a >> b : 0; });
      })
      .Case([&](arith::ShRSIOp) {
        return make([=](W a, W b) {
          return W(signedBits(a, bits) >> std::min<W>(b, bits - 1));
        });
      })
      .Case([&](arith::MinUIOp) {
        return make([](W a, W b) { return std::min(a, b); });
      })
      .Case([&](arith::MaxUIOp) {
        return make([](W a, W b) { return std::max(a, b); });
      })
      .Case([&](arith::MinSIOp) {
        return make([=](W a, W b) {
          return signedBits(a, bits) < signedBits(b, bits) ? a : b;
        });
      })
      .Case([&](arith::MaxSIOp) {
        return make([=](W a, W b) {
          return signedBits(a, bits) > signedBits(b, bits) ? a : b;
        });
      })
      .Case([&](arith::DivUIOp) {
        return dividing(op, builder, [](W a, W b) { return a / b; });
      })
      .Case([&](arith::RemUIOp) {
        return dividing(op, builder, [](W a, W b) { return a % b; });
      })
      .Case([&](arith::CmpIOp cmp) {
        arith::CmpIPredicate predicate = cmp.getPredicate();
        return make(
            [=](W a, W b) { return W(compare(predicate, a, b, bits)); });
      })
      .Default([](Operation *) { return Step(); });
}

Step quern::makeArithStep(Operation *op, StepBuilder &builder) {
  if (!isa<arith::ArithDialect, math::MathDialect>(op->getDialect()))
    return {};
  Step step =
      TypeSwitch<Operation *, Step>(op)
          .Case([&](arith::ConstantOp c) { return makeConstant(c, builder); })
          .Case([&](arith::SelectOp s) { return makeSelect(s, builder); })
          .Case([&](arith::AddFOp) {
            return floatBinary(op, builder,
                               [](auto a, auto b) { return a + b; });
          })
          .Case([&](arith::SubFOp) {
            return floatBinary(op, builder,
                               [](auto a, auto b) { return a - b; });
          })
          .Case([&](arith::MulFOp) {
            return floatBinary(op, builder,
                               [](auto a, auto b) { return a * b; });
          })
          .Case([&](arith::DivFOp) {
            return floatBinary(op, builder,
                               [](auto a, auto b) { return a / b; });
          })
          .Case([&](math::CountLeadingZerosOp) {
            unsigned bits = bitsOf(op->getResult(0).getType());
            return unary(op, builder, [bits](uint64_t a) {
              return uint64_t(llvm::countl_zero(a)) - (64 - bits);
            });
          })
          .Case([&](math::SqrtOp) {
            if (bitsOf(op->getResult(0).getType()) == 32)
              return unary(op, builder, [](uint64_t a) {
                return fromFloat(std::sqrt(asFloat(a)));
              });
            return unary(op, builder, [](uint64_t a) {
              return llvm::bit_cast<uint64_t>(
                  std::sqrt(llvm::bit_cast<double>(a)));
            });
          })
          .Default([](Operation *) { return Step(); });
  if (!step)
    step = makeConversion(op, builder);
  return step ? step : makeInteger(op, builder);
}
