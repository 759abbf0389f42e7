//===- quern-test-opt.cpp - quern-opt with passes that are wrong ----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "test/compiler/Validate/WrongPasses.h"
#include "tools/quern-opt/OptMain.h"

int main(int argc, char **argv) {
  quern::test::registerWrongPasses();
  return quern::optMain(argc, argv, quern::test::wrongPromises());
}
