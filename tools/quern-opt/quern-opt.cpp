//===- quern-opt.cpp - Run passes on a file -------------------------------===//
//
// Part of Quern. Reads MLIR, runs the passes named on the command line, and
// prints the result. Every dump of `quern compile --save-temps` can be read.
//
//===----------------------------------------------------------------------===//

#include "tools/quern-opt/OptMain.h"

int main(int argc, char **argv) { return quern::optMain(argc, argv, {}); }
