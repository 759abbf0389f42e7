//===- AppendPass.h - A pass that appends a kernel --------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_APPENDPASS_H
#define QUERN_LIB_TARGET_NVPTX_APPENDPASS_H

#include "lib/Support/Status.h"

namespace quern {

/// A pass on a module, derived from its generated base. What append() finds
/// wrong with the options is an error of the module.
template <typename Generated> class AppendPass : public Generated {
public:
  using Generated::Generated;

  void runOnOperation() final {
    if (Error error = append()) {
      this->getOperation().emitError(error.message());
      this->signalPassFailure();
    }
  }

protected:
  virtual Error append() = 0;
};

} // namespace quern

#endif // QUERN_LIB_TARGET_NVPTX_APPENDPASS_H
