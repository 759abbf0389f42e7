//===- HtmlPage.h - One HTML file without others ----------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The frame of all pages that Quern writes: plots are inline SVG, a page needs
// no other file, no script and no network.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_ACCURACY_HTMLPAGE_H
#define QUERN_COMPILER_ACCURACY_HTMLPAGE_H

#include "llvm/Support/raw_ostream.h"

#include <string>

namespace quern {

/// Everything before the body's contents. `title` is plain text.
void beginPage(llvm::raw_ostream &out, const std::string &title);
void endPage(llvm::raw_ostream &out);

} // namespace quern

#endif // QUERN_COMPILER_ACCURACY_HTMLPAGE_H
