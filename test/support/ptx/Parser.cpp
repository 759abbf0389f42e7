//===- Parser.cpp - PTX text to a Program ---------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Reads the part of the language that LLVM writes: one directive or instruction
// after the other, whatever the line breaks.
//
//===----------------------------------------------------------------------===//
#include "test/support/ptx/Program.h"

#include <cctype>
#include <cstdlib>

namespace quern::ptx {

bool parseType(std::string_view text, Type &type) {
  if (text == "pred") {
    type = {Type::Predicate, 1};
    return true;
  }
  if (text.size() < 2)
    return false;
  static const std::map<std::string_view, int> widths = {
      {"8", 8}, {"16", 16}, {"32", 32}, {"64", 64}};
  auto width = widths.find(text.substr(1));
  if (width == widths.end())
    return false;
  switch (text[0]) {
  case 'b':
  case 'u':
    type = {Type::Unsigned, width->second};
    return true;
  case 's':
    type = {Type::Signed, width->second};
    return true;
  case 'f':
    type = {Type::Real, width->second};
    return true;
  default:
    return false;
  }
}

namespace {
struct Token {
  std::string_view text;
  int line = 0;
};

std::vector<Token> tokenize(std::string_view text) {
  std::vector<Token> tokens;
  int line = 1;
  auto isWord = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' ||
           c == '$' || c == '%' || c == '.';
  };
  for (size_t i = 0; i < text.size();) {
    char c = text[i];
    if (c == '\n')
      ++line;
    if (std::isspace(static_cast<unsigned char>(c)) || c == '\0') {
      ++i;
      continue;
    }
    if (text.substr(i, 2) == "//") {
      while (i < text.size() && text[i] != '\n')
        ++i;
      continue;
    }
    size_t end = i + 1;
    // Also `shared::cluster`.
    if (isWord(c))
      while (end < text.size() &&
             (isWord(text[end]) || text.substr(end, 2) == "::"))
        end += isWord(text[end]) ? 1 : 2;
    tokens.push_back({text.substr(i, end - i), line});
    i = end;
  }
  return tokens;
}

class Parser {
public:
  explicit Parser(std::string_view text) : tokens(tokenize(text)) {}

  Expected<Program> parse() {
    while (!failed && at < tokens.size())
      parseTopLevel();
    if (failed)
      return Error(message);
    return std::move(program);
  }

private:
  std::string_view peek(size_t ahead = 0) const {
    return at + ahead < tokens.size() ? tokens[at + ahead].text
                                      : std::string_view();
  }
  int line() const {
    return tokens.empty() ? 0 : tokens[std::min(at, tokens.size() - 1)].line;
  }
  std::string_view next() {
    std::string_view text = peek();
    ++at;
    return text;
  }
  bool accept(std::string_view text) {
    if (peek() != text)
      return false;
    ++at;
    return true;
  }
  void fail(const std::string &what) {
    if (!failed)
      message = "line " + std::to_string(line()) + ": " + what;
    failed = true;
    at = tokens.size();
  }
  void expect(std::string_view text) {
    if (!accept(text))
      fail("found '" + printable(std::string(peek())) + "', expected '" +
           std::string(text) + "'");
  }
  uint64_t number();
  Type type();

  void parseTopLevel();
  void parseKernel();
  void parseVariable(std::vector<Variable> &variables, bool isExternal);
  void parseBody();
  void parseRegisters();
  void parseInstruction();
  Operand parseOperand();
  Operand parseAddress();
  void closeScope();

  std::vector<Token> tokens;
  size_t at = 0;
  bool failed = false;
  std::string message;
  Program program;

  // Of the kernel at hand.
  Kernel *kernel = nullptr;
  std::map<std::string, int, std::less<>> registers;
  /// Labels of the scopes that are open, the innermost last, and the
  /// instruction at which each begins.
  struct Scope {
    size_t begin = 0;
    std::map<std::string, int, std::less<>> labels;
  };
  std::vector<Scope> scopes;
};
} // namespace

uint64_t Parser::number() {
  bool negative = accept("-");
  std::string text(next());
  if (text.size() > 1 && text.back() == 'U')
    text.pop_back();
  uint64_t value = 0;
  char *end = nullptr;
  // 0fXXXXXXXX is an f32 by its bits, 0dX...X an f64.
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'f' || text[1] == 'd'))
    value = std::strtoull(text.c_str() + 2, &end, 16);
  else
    value = std::strtoull(text.c_str(), &end, 0);
  if (text.empty() || !std::isdigit(static_cast<unsigned char>(text[0])) ||
      *end) {
    --at;
    fail("found '" + printable(text) + "', expected a number");
  }
  return negative ? uint64_t(0) - value : value;
}

Type Parser::type() {
  std::string_view text = next();
  Type result;
  if (text.empty() || text[0] != '.' || !parseType(text.substr(1), result)) {
    --at;
    fail("found '" + printable(std::string(text)) + "', expected a type");
  }
  return result;
}

void Parser::parseTopLevel() {
  if (accept(".version")) {
    next();
  } else if (accept(".target")) {
    program.target = next();
    while (accept(","))
      next();
  } else if (accept(".address_size")) {
    next();
  } else if (accept(".visible") || accept(".weak")) {
    // Linkage says nothing here.
  } else if (accept(".entry")) {
    parseKernel();
  } else if (accept(".extern")) {
    if (peek() == ".func")
      fail("calls what no driver has: .extern .func");
    else
      parseVariable(program.variables, /*isExternal=*/true);
  } else if (peek() == ".global" || peek() == ".shared" || peek() == ".const") {
    parseVariable(program.variables, /*isExternal=*/false);
  } else {
    fail("unknown directive '" + printable(std::string(peek())) + "'");
  }
}

/// `.shared .align 16 .b8 name[64] = {1, 2};`
void Parser::parseVariable(std::vector<Variable> &variables, bool isExternal) {
  Variable variable;
  variable.isExternal = isExternal;
  variable.isShared = next() == ".shared";
  if (accept(".align"))
    variable.alignment = int64_t(number());
  int64_t element = type().bytes();
  variable.name = next();
  variable.bytes = element;
  if (accept("[")) {
    variable.bytes = peek() == "]" ? 0 : element * int64_t(number());
    expect("]");
  }
  if (accept("=")) {
    bool list = accept("{");
    do {
      uint64_t value = number();
      for (int64_t i = 0; i < element; ++i)
        variable.init.push_back(uint8_t(value >> (8 * i)));
    } while (!failed && accept(","));
    if (list)
      expect("}");
  }
  expect(";");
  if (int64_t(variable.init.size()) > variable.bytes)
    fail("variable " + variable.name + " has more values than places");
  variables.push_back(std::move(variable));
}

void Parser::parseKernel() {
  std::string name(next());
  kernel = &program.kernels[name];
  kernel->name = name;
  registers.clear();
  scopes.clear();
  if (accept("(")) {
    while (!failed && accept(".param")) {
      Parameter param;
      if (accept(".align"))
        number();
      param.type = type();
      while (accept(".ptr") || accept(".global") || accept(".shared"))
        ;
      if (accept(".align"))
        number();
      param.name = next();
      param.bytes = param.type.bytes();
      if (accept("[")) {
        param.bytes *= int64_t(number());
        expect("]");
      }
      kernel->params.push_back(param);
      accept(",");
    }
    expect(")");
  }
  while (!failed && peek() != "{") {
    if (accept(".reqntid")) {
      kernel->threads = int(number());
      while (accept(","))
        kernel->threads *= int(number());
    } else if (accept(".minnctapersm") || accept(".maxnreg")) {
      number();
    } else {
      fail("unknown directive '" + printable(std::string(peek())) + "'");
    }
  }
  if (kernel->threads == 0)
    fail("kernel " + name +
         " does not say how many threads it needs "
         "(.reqntid)");
  parseBody();
}

void Parser::parseBody() {
  expect("{");
  scopes.resize(1);
  while (!failed && !scopes.empty()) {
    if (at >= tokens.size())
      return fail("the body of kernel " + kernel->name + " has no end");
    if (accept("{"))
      scopes.push_back({kernel->code.size(), {}});
    else if (accept("}"))
      closeScope();
    else if (accept(".reg"))
      parseRegisters();
    else if (peek() == ".shared")
      parseVariable(kernel->variables, /*isExternal=*/false);
    else if (accept(".pragma")) {
      while (at < tokens.size() && !accept(";"))
        ++at;
    } else if (peek(1) == ":") {
      scopes.back().labels[std::string(next())] = int(kernel->code.size());
      next();
    } else
      parseInstruction();
  }
}

/// `.reg .b32 %r<484>;`, or `.reg .b32 tmp;` in a scope of its own.
void Parser::parseRegisters() {
  Type kind = type();
  std::string prefix(next());
  if (accept(";")) {
    registers[prefix] = int(kernel->registers.size());
    kernel->registers.push_back(kind);
    return;
  }
  expect("<");
  uint64_t count = number();
  expect(">");
  expect(";");
  if (count > 100000)
    return fail("too many registers");
  for (uint64_t i = 0; i < count && !failed; ++i) {
    registers[prefix + std::to_string(i)] = int(kernel->registers.size());
    kernel->registers.push_back(kind);
  }
}

Operand Parser::parseAddress() {
  Operand operand;
  operand.kind = Operand::Address;
  std::string_view base = next();
  auto found = registers.find(base);
  if (found != registers.end())
    operand.number = found->second;
  else
    operand.symbol = base;
  if (accept("+"))
    operand.value = number();
  else if (peek() == "-")
    operand.value = number();
  if (accept(","))
    operand.parts = parseOperand().parts;
  expect("]");
  return operand;
}

Operand Parser::parseOperand() {
  static const std::map<std::string_view, Special> specials = {
      {"%tid.x", Special::ThreadX},    {"%tid.y", Special::ThreadY},
      {"%tid.z", Special::ThreadZ},    {"%ntid.x", Special::ThreadsX},
      {"%ctaid.x", Special::BlockX},   {"%ctaid.y", Special::BlockY},
      {"%ctaid.z", Special::BlockZ},   {"%nctaid.x", Special::BlocksX},
      {"%nctaid.y", Special::BlocksY}, {"%laneid", Special::Lane}};
  if (accept("["))
    return parseAddress();
  Operand operand;
  if (accept("{")) {
    operand.kind = Operand::Vector;
    do
      operand.parts.push_back(parseOperand());
    while (!failed && accept(","));
    expect("}");
    return operand;
  }
  std::string_view text = peek();
  if (text == "-" ||
      (!text.empty() && std::isdigit(static_cast<unsigned char>(text[0])))) {
    operand.value = number();
    return operand;
  }
  next();
  auto special = specials.find(text);
  auto found = registers.find(text);
  if (text == "_") {
    operand.kind = Operand::Sink;
  } else if (special != specials.end()) {
    operand.kind = Operand::Special;
    operand.number = int(special->second);
  } else if (found != registers.end()) {
    operand.kind = Operand::Register;
    operand.number = found->second;
    if (accept("|")) {
      found = registers.find(next());
      if (found == registers.end())
        fail("the predicate behind '|' is not declared");
      else
        operand.second = found->second;
    }
  } else if (!text.empty() && text[0] == '%') {
    fail("register '" + printable(std::string(text)) + "' is not declared");
  } else {
    operand.kind = Operand::Symbol;
    operand.symbol = text;
  }
  return operand;
}

void Parser::parseInstruction() {
  Instruction instruction;
  instruction.line = line();
  if (accept("@")) {
    instruction.guardNegated = accept("!");
    auto found = registers.find(next());
    if (found == registers.end())
      return fail("the predicate behind '@' is not declared");
    instruction.guard = found->second;
  }
  instruction.name = next();
  while (!failed && !accept(";")) {
    instruction.operands.push_back(parseOperand());
    if (peek() != ";")
      expect(",");
  }
  if (failed)
    return;
  if (Error error = bind(instruction)) {
    failed = true;
    message =
        "line " + std::to_string(instruction.line) + ": " + error.message();
    at = tokens.size();
    return;
  }
  kernel->code.push_back(std::move(instruction));
}

/// Resolves the labels of the innermost scope; what the outermost does not have
/// is nowhere.
void Parser::closeScope() {
  Scope scope = std::move(scopes.back());
  scopes.pop_back();
  for (size_t k = scope.begin; k != kernel->code.size(); ++k) {
    Instruction &instruction = kernel->code[k];
    for (Operand &operand : instruction.operands) {
      if (operand.kind != Operand::Symbol)
        continue;
      auto found = scope.labels.find(operand.symbol);
      if (found != scope.labels.end()) {
        operand.kind = Operand::Label;
        operand.value = uint64_t(found->second);
      } else if (scopes.empty() && instruction.name.rfind("bra", 0) == 0) {
        failed = true;
        message = "line " + std::to_string(instruction.line) +
                  ": there is no label " + printable(operand.symbol);
        return;
      }
    }
  }
}

Expected<Program> parseProgram(std::string_view text) {
  return Parser(text).parse();
}

} // namespace quern::ptx
