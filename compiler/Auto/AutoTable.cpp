//===- AutoTable.cpp - The front of accuracy, time and size ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Auto/Auto.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>

namespace quern {

/// Appends formatted text.
__attribute__((format(printf, 2, 3))) static void
print(std::string &text, const char *format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  text += line;
}

static void printSites(std::string &text, const AutoResult &result) {
  constexpr size_t shown = 12;
  print(text, "most sensitive sites, signal to noise in dB\n%-8s %9s %9s %9s\n",
        "site", "8 bits", "channel", "16 bits");
  for (size_t i = 0; i < std::min(shown, result.sites.size()); ++i) {
    const SiteSensitivity &site = result.sites[i];
    char channel[16] = "-";
    if (!std::isnan(site.channel8))
      std::snprintf(channel, sizeof(channel), "%.1f", site.channel8);
    print(text, "%-8s %9.1f %9s %9.1f\n", site.name.c_str(), site.tensor8,
          channel, site.wide16);
  }
}

std::string autoTable(const AutoResult &result) {
  std::string text;
  printSites(text, result);
  print(text,
        "\ncandidates on %zu texts; * none is better in drop, time and size; "
        "drop as the float model expects it\n"
        "%-40s %8s %8s %10s %9s %9s\n",
        result.texts, "", "drop", "agree %", "predicted", "MB", "ms/text");
  for (size_t i = 0; i < result.candidates.size(); ++i) {
    const AutoCandidate &one = result.candidates[i];
    std::string name = (one.onFront ? "* " : "  ") + one.name;
    if (!one.failure.empty()) {
      print(text, "%-40s not supported: %.300s\n", name.c_str(),
            one.failure.c_str());
      continue;
    }
    print(text, "%-40s %8.3f ", name.c_str(), one.drop.points);
    if (one.drop.decisions)
      print(text, "%8.2f ", 100 * one.drop.agreement);
    else
      print(text, "%8s ", "-");
    print(text, "%9.3fx %9.2f ", one.cost, one.bytes / 1e6);
    if (one.millisecondsPerText > 0)
      print(text, "%9.2f", one.millisecondsPerText);
    else
      print(text, "%9s", "-");
    text += i == result.chosen ? " chosen\n" : "\n";
  }
  print(text, "chosen: %s, the cheapest within a drop of %g\n",
        result.candidates[result.chosen].name.c_str(), result.maxDrop);
  return text;
}

} // namespace quern
