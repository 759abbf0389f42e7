//===- TestPch.h - The precompiled header of MLIR tests -------------------===//
//
// What Pch.h has, the dialects of this project, and GoogleTest; compiled as
// tests are, without optimization.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_CMAKE_TESTPCH_H
#define QUERN_TOOLS_CMAKE_TESTPCH_H

#include "dialects/TK/TKDialect.h"
#include "dialects/TQ/TQDialect.h"
#include "tools/cmake/Pch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#endif // QUERN_TOOLS_CMAKE_TESTPCH_H
