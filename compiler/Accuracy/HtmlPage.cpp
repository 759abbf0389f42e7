//===- HtmlPage.cpp - One HTML file without others ------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Accuracy/HtmlPage.h"

#include "llvm/ADT/StringExtras.h"

namespace quern {

static constexpr const char *style =
    "body{font:14px sans-serif;margin:2em;color:#222}"
    "table{border-collapse:collapse}td,th{border-bottom:1px solid #ccc;"
    "padding:2px 10px;text-align:right}td:first-child,th:first-child,"
    "td:last-child,th:last-child{text-align:left}svg{background:#fff;"
    "font:11px sans-serif}.note{color:#666}";

void beginPage(llvm::raw_ostream &out, const std::string &title) {
  out << "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>";
  llvm::printHTMLEscaped(title, out);
  out << "</title>\n<style>" << style << "</style></head>\n<body>\n";
}

void endPage(llvm::raw_ostream &out) { out << "</body></html>\n"; }

} // namespace quern
