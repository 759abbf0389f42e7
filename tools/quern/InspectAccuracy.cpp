//===- InspectAccuracy.cpp - quern inspect --accuracy ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/InspectAccuracy.h"

#include "compiler/Accuracy/Accuracy.h"
#include "compiler/Auto/Front.h"
#include "lib/Support/File.h"
#include "lib/Support/SameFile.h"
#include "tools/quern/CalibrationInput.h"
#include "tools/quern/Commands.h"
#include "tools/quern/Progress.h"

namespace quern::cli {

int inspectAccuracy(const InspectOptions &options) {
  Expected<std::vector<CalibrationText>> texts =
      readTexts(options.text, options.pairs, options.samples);
  if (!texts)
    return fail(texts.message());
  // A page that cannot be written is found before the work.
  if (Error error = keepInputs(options.html,
                               {options.module, options.text, options.front}))
    return fail(error.message());
  if (!options.html.empty())
    if (Expected<OutputFile> file = OutputFile::create(options.html); !file)
      return fail(file.message());
  std::string section;
  if (!options.front.empty()) {
    Expected<Front> front = readFront(options.front);
    if (!front)
      return fail(front.message());
    section = frontHtml(*front);
  }
  Progress progress(!options.quiet);
  AccuracyRequest request;
  request.module = options.module;
  request.modelFolder = options.model;
  request.threads = options.threads;
  request.texts = std::move(*texts);
  request.progress = [&](double part) { progress.update("accuracy", part); };
  Expected<AccuracyReport> report = measureAccuracy(request);
  progress.finish();
  if (!report)
    return fail(report.message());
  if (!options.html.empty())
    if (Error error = writeFile(options.html, accuracyPage(*report, section)))
      return fail(error.message());
  std::string shown =
      options.json ? accuracyJson(*report) : accuracyText(*report);
  std::fputs(shown.c_str(), stdout);
  return Ok;
}

} // namespace quern::cli
