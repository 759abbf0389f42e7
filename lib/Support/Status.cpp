//===- Status.cpp - Errors as values --------------------------------------===//
//
// The part of Status.h that is not a template.
//
//===----------------------------------------------------------------------===//
#include "lib/Support/Status.h"

using namespace quern;

std::string quern::printable(std::string_view text, size_t limit) {
  std::string out(text.substr(0, limit));
  for (char &c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      c = '?';
  if (text.size() > limit)
    out += "...";
  return out;
}
