//===- Bind.cpp - Instructions to their handlers --------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "test/support/ptx/Handlers.h"

namespace quern::ptx {

static Parts split(std::string_view name) {
  Parts parts;
  while (true) {
    size_t dot = name.find('.');
    parts.push_back(name.substr(0, dot));
    if (dot == std::string_view::npos)
      return parts;
    name.remove_prefix(dot + 1);
  }
}

/// Operands of scalar instructions: a result, and what it is made of.
static size_t scalarOperands(std::string_view base) {
  for (std::string_view one : {"neg", "abs", "sqrt", "rcp", "not"})
    if (base == one)
      return 2;
  for (std::string_view three : {"mad", "selp", "shf", "prmt", "bfe", "dp4a"})
    if (base == three)
      return 4;
  return 3;
}

Error bind(Instruction &instruction) {
  Parts parts = split(instruction.name);
  for (const Binders *binders :
       {&scalarBinders(), &bitBinders(), &compareBinders()})
    if (binders->count(parts[0]) &&
        instruction.operands.size() != scalarOperands(parts[0]))
      return Error::make("'", instruction.name, "' has ",
                         instruction.operands.size(), " operands, expected ",
                         scalarOperands(parts[0]));
  for (const Binders *binders :
       {&scalarBinders(), &bitBinders(), &compareBinders(), &dataBinders(),
        &warpBinders(), &bulkBinders()}) {
    auto found = binders->find(parts[0]);
    if (found == binders->end())
      continue;
    instruction.handler = found->second(instruction, parts);
    if (instruction.handler)
      return Error::success();
  }
  return Error::make("unknown instruction '", printable(instruction.name), "'");
}

} // namespace quern::ptx
