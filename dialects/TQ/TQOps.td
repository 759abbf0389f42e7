//===- TQOps.td - All ops of the tq dialect -------------------*- tablegen -*-===//
//
// Part of Quern. The root of the dialect's TableGen: types, the float and
// simulation ops (L0, L1) and the integer ops (L2).
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_DIALECTS_TQ_TQOPS
#define QUERN_DIALECTS_TQ_TQOPS

include "dialects/TQ/TQBase.td"
include "dialects/TQ/TQFloatOps.td"
include "dialects/TQ/TQGroupOps.td"
include "dialects/TQ/TQIntegerOps.td"
include "dialects/TQ/TQQuantOps.td"
include "dialects/TQ/TQTypes.td"

#endif // QUERN_DIALECTS_TQ_TQOPS
