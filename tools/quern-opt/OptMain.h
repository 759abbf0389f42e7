//===- OptMain.h - The main function of quern-opt ---------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Apart from the program, so that a test's program has other passes as well.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_OPT_OPTMAIN_H
#define QUERN_TOOLS_QUERN_OPT_OPTMAIN_H

#include "compiler/Validate/PassClass.h"

namespace quern {

/// Registers everything of Quern, reads the command line and does what it says.
/// `promises` are those of passes that are not Quern's.
int optMain(int argc, char **argv, const std::vector<PassPromise> &promises);

} // namespace quern

#endif // QUERN_TOOLS_QUERN_OPT_OPTMAIN_H
