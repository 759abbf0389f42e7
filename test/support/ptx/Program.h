//===- Program.h - A parsed PTX module --------------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What Parser.cpp makes of PTX text: kernels of instructions whose operands are
// numbered registers, and the variables of the module.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_SUPPORT_PTX_PROGRAM_H
#define QUERN_TEST_SUPPORT_PTX_PROGRAM_H

#include "lib/Support/Status.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace quern::ptx {

/// An element type of PTX; b32 counts as u32, a predicate as one bit.
struct Type {
  enum Kind { Unsigned, Signed, Real, Predicate } kind = Unsigned;
  int bits = 32;
  int bytes() const { return bits / 8; }
};
/// Of `u8`, `s32`, `b64`, `f32`, `pred` and the like.
bool parseType(std::string_view text, Type &type);

enum class Special {
  ThreadX,
  ThreadY,
  ThreadZ,
  ThreadsX,
  BlockX,
  BlockY,
  BlockZ,
  BlocksX,
  BlocksY,
  Lane
};

struct Operand {
  enum Kind {
    Register,
    Immediate,
    Special,
    /// Register or symbol plus an offset; `parts` are coordinates behind it.
    Address,
    /// The address of a variable.
    Symbol,
    Vector,
    /// A place in the code.
    Label,
    /// The operand `_`, into which results vanish.
    Sink
  } kind = Immediate;
  /// A register, also of an address (-1: none), or a ptx::Special.
  int number = -1;
  /// The predicate behind `|`, or -1.
  int second = -1;
  /// An immediate, an offset or the number of an instruction.
  uint64_t value = 0;
  std::string symbol;
  std::vector<Operand> parts;
};

class Warp;
struct Instruction;
using Handler = void (*)(Warp &, const Instruction &);

struct Instruction {
  int line = 0;
  /// Such as `add.s32`.
  std::string name;
  std::vector<Operand> operands;
  /// The predicate it is subject to, or -1.
  int guard = -1;
  bool guardNegated = false;

  // What Bind.cpp makes of the name.
  Handler handler = nullptr;
  Type type, from;
  enum Space { Global, Shared, Param } space = Global;
  int vector = 1;
  /// Comparison, rounding, kind of a shuffle: whatever the handler says.
  std::string mode;
  bool saturate = false, readOnly = false;
};

/// A variable of the module or of a kernel.
struct Variable {
  std::string name;
  int64_t bytes = 0, alignment = 1;
  bool isShared = false, isExternal = false;
  std::vector<uint8_t> init;
};

struct Parameter {
  std::string name;
  Type type;
  /// More than the type's for what is passed as a whole.
  int64_t bytes = 0;
};

struct Kernel {
  std::string name;
  std::vector<Parameter> params;
  int threads = 0;
  std::vector<Type> registers;
  std::vector<Instruction> code;
  std::vector<Variable> variables;
};

struct Program {
  std::string target;
  std::map<std::string, Kernel> kernels;
  std::vector<Variable> variables;
};

/// Parses and binds; errors name the line.
Expected<Program> parseProgram(std::string_view text);

/// Finds the handler of an instruction by its name, and decodes it.
Error bind(Instruction &instruction);

} // namespace quern::ptx

#endif // QUERN_TEST_SUPPORT_PTX_PROGRAM_H
