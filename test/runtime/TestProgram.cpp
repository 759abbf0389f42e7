//===- TestProgram.cpp - a model for libquern_program's main() ------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The compiler writes the image as constant data; here it is filled in before
// main() runs.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/TestModule.h"

extern "C" quern_linked_image quern_program_image;
quern_linked_image quern_program_image;

namespace {

struct FillImage {
  FillImage() {
    parts.manifest.model->labels[2] = "very \"high\"";
    parts.pack();
    quern_program_image = parts.image();
  }
  quern::test::TestModule parts;
} fillImage;

} // namespace
