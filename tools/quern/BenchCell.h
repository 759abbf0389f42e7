//===- BenchCell.h - Times one cell of a grid -----------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_BENCHCELL_H
#define QUERN_TOOLS_QUERN_BENCHCELL_H

#include "compiler/Bench/BenchReport.h"
#include "tools/quern/BenchInput.h"
#include "tools/quern/Placement.h"

#include "quern/quern.h"

#include <string>

namespace quern::cli {

/// How every cell of a grid is timed.
struct CellOptions {
  BenchTexts texts;
  unsigned runs, warmup;
  quern_device device;
  Placement placement;
  bool ops; ///< Each kind of op, too, and the bandwidth of reading.
};

/// Times the cell whose length, batch and threads are set, and fills in the
/// rest. `path` names the module in messages.
Error measureCell(const CellOptions &options, quern_module *module,
                  const std::string &path, BenchCell &cell);

} // namespace quern::cli

#endif // QUERN_TOOLS_QUERN_BENCHCELL_H
