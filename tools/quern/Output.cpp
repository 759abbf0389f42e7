//===- Output.cpp - JSON lines and NumPy files of results -----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Output.h"

#include "lib/Support/File.h"

#include <cmath>
#include <cstdio>

namespace quern::cli {

std::pair<uint32_t, double> bestLabel(const float *logits, uint32_t count) {
  uint32_t best = 0;
  for (uint32_t i = 1; i < count; ++i)
    if (logits[i] > logits[best])
      best = i;
  double sum = 0;
  for (uint32_t i = 0; i < count; ++i)
    sum += std::exp(double(logits[i]) - logits[best]);
  return {best, 1 / sum};
}

/// A float as the shortest decimal that reads back to it.
static nlohmann::json shortest(float value) {
  char text[32];
  for (int digits = 6; digits <= 9; ++digits) {
    std::snprintf(text, sizeof(text), "%.*g", digits, value);
    if (std::strtof(text, nullptr) == value)
      break;
  }
  return std::strtod(text, nullptr);
}

static nlohmann::json floats(const float *values, uint32_t count) {
  nlohmann::json array = nlohmann::json::array();
  for (uint32_t i = 0; i < count; ++i)
    array.push_back(shortest(values[i]));
  return array;
}

static std::string labelName(const quern_module *module, uint32_t index) {
  const char *name = quern_module_label(module, index);
  return name ? name : "LABEL_" + std::to_string(index);
}

/// The piece of text that a token covers.
static std::string piece(const Record &record, const quern_output &output,
                         uint32_t token) {
  const std::string &text =
      output.type_ids && output.type_ids[token] && record.pair ? *record.pair
                                                               : record.text;
  uint32_t begin = output.spans[token][0], end = output.spans[token][1];
  if (begin > end || end > text.size())
    return "";
  return text.substr(begin, end - begin);
}

static nlohmann::json tokensJson(const Record &record,
                                 const quern_output &output, uint32_t begin,
                                 uint32_t end, const quern_module *module) {
  nlohmann::json tokens = nlohmann::json::array();
  for (uint32_t token = begin; token < end; ++token) {
    auto [best, score] =
        bestLabel(output.data + size_t(token) * output.columns, output.columns);
    nlohmann::json entry;
    if (output.spans) {
      entry["token"] = piece(record, output, token);
      entry["start"] = output.spans[token][0];
      entry["end"] = output.spans[token][1];
    }
    entry["label"] = labelName(module, best);
    entry["score"] = score;
    tokens.push_back(std::move(entry));
  }
  return tokens;
}

/// The best span of the second text (of the only text if there is no pair).
static nlohmann::json answerJson(const Record &record,
                                 const quern_output &output, uint32_t begin,
                                 uint32_t end) {
  auto logit = [&](uint32_t token, int column) {
    return output.data[size_t(token) * output.columns + column];
  };
  auto allowed = [&](uint32_t token) {
    bool special =
        output.spans && output.spans[token][0] == output.spans[token][1];
    return !special && (!record.pair || output.type_ids[token] == 1);
  };
  constexpr uint32_t longest = 30;
  double best = -INFINITY;
  uint32_t from = begin, to = begin;
  for (uint32_t first = begin; first < end; ++first) {
    if (!allowed(first))
      continue;
    for (uint32_t last = first; last < end && last < first + longest; ++last) {
      if (!allowed(last))
        break;
      double score = double(logit(first, 0)) + logit(last, 1);
      if (score > best) {
        best = score;
        from = first;
        to = last;
      }
    }
  }
  nlohmann::json answer;
  if (best == -INFINITY || !output.spans)
    return answer;
  const std::string &text = record.pair ? *record.pair : record.text;
  uint32_t start = output.spans[from][0], stop = output.spans[to][1];
  answer["answer"] = start <= stop && stop <= text.size()
                         ? text.substr(start, stop - start)
                         : "";
  answer["start"] = start;
  answer["end"] = stop;
  answer["score"] = best;
  return answer;
}

nlohmann::json resultJson(const Record &record, const quern_output &output,
                          uint32_t sequence, const quern_module *module,
                          const quern_description &description) {
  nlohmann::json result;
  if (!record.id.is_null())
    result["id"] = record.id;
  if (description.rows_are_tokens) {
    uint32_t begin = output.offsets[sequence];
    uint32_t end = output.offsets[sequence + 1];
    nlohmann::json logits = nlohmann::json::array();
    for (uint32_t token = begin; token < end; ++token)
      logits.push_back(
          floats(output.data + size_t(token) * output.columns, output.columns));
    result["logits"] = std::move(logits);
    if (description.head == QUERN_HEAD_QUESTION_ANSWERING)
      result["best"] = answerJson(record, output, begin, end);
    else
      result["tokens"] = tokensJson(record, output, begin, end, module);
    return result;
  }
  const float *row = output.data + size_t(sequence) * output.columns;
  if (description.head == QUERN_HEAD_EMBEDDING) {
    result["embedding"] = floats(row, output.columns);
    return result;
  }
  if (description.head == QUERN_HEAD_REGRESSION) {
    result["score"] = shortest(row[0]);
    result["logits"] = floats(row, output.columns);
    return result;
  }
  auto [best, score] = bestLabel(row, output.columns);
  result["label"] = labelName(module, best);
  result["score"] = score;
  result["logits"] = floats(row, output.columns);
  return result;
}

namespace {
/// Lines to standard output at once, to a file when all is well.
class JsonWriter : public OutputWriter {
public:
  JsonWriter(std::unique_ptr<OutputFile> file, const quern_module *module,
             const quern_description &description)
      : file(std::move(file)), module(module), description(description) {}

  Error write(const std::vector<Record> &records,
              const quern_output &output) override {
    for (uint32_t i = 0; i < output.sequences; ++i) {
      std::string line =
          resultJson(records[i], output, i, module, description)
              .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
      line += '\n';
      if (file) {
        if (Error error = file->write(line))
          return error;
      } else if (std::fwrite(line.data(), 1, line.size(), stdout) !=
                 line.size()) {
        return Error("standard output: cannot be written");
      }
    }
    return Error::success();
  }

  Error finish() override {
    if (file)
      return file->commit();
    if (std::fflush(stdout))
      return Error("standard output: cannot be written");
    return Error::success();
  }

private:
  std::unique_ptr<OutputFile> file;
  const quern_module *module;
  quern_description description;
};

/// One f32 array [rows, columns]; rows of all texts one after the other.
class NpyWriter : public OutputWriter {
public:
  explicit NpyWriter(std::unique_ptr<OutputFile> file)
      : file(std::move(file)) {}

  Error write(const std::vector<Record> &,
              const quern_output &output) override {
    columns = output.columns;
    rows += output.rows;
    values.insert(values.end(), output.data,
                  output.data + size_t(output.rows) * output.columns);
    return Error::success();
  }

  Error finish() override {
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" +
                         std::to_string(rows) + ", " + std::to_string(columns) +
                         "), }";
    // The format wants the whole header to be a multiple of 64 bytes.
    header.append(63 - (10 + header.size()) % 64, ' ');
    header += '\n';
    std::string start("\x93NUMPY\x01\x00", 8);
    start += char(header.size() & 255);
    start += char(header.size() >> 8);
    start += header;
    std::string_view body(reinterpret_cast<const char *>(values.data()),
                          values.size() * sizeof(float));
    if (!file) {
      if (std::fwrite(start.data(), 1, start.size(), stdout) != start.size() ||
          std::fwrite(body.data(), 1, body.size(), stdout) != body.size() ||
          std::fflush(stdout))
        return Error("standard output: cannot be written");
      return Error::success();
    }
    if (Error error = file->write(start))
      return error;
    if (Error error = file->write(body))
      return error;
    return file->commit();
  }

private:
  std::unique_ptr<OutputFile> file;
  std::vector<float> values;
  size_t rows = 0, columns = 0;
};
} // namespace

Expected<std::unique_ptr<OutputWriter>>
OutputWriter::create(const std::string &format, const std::string &path,
                     const quern_module *module,
                     const quern_description &description) {
  // Before the work, not after.
  std::unique_ptr<OutputFile> file;
  if (!path.empty()) {
    Expected<OutputFile> opened = OutputFile::create(path);
    if (!opened)
      return opened.takeError();
    file = std::make_unique<OutputFile>(std::move(*opened));
  }
  if (format == "npy")
    return Expected<std::unique_ptr<OutputWriter>>(
        std::make_unique<NpyWriter>(std::move(file)));
  return Expected<std::unique_ptr<OutputWriter>>(
      std::make_unique<JsonWriter>(std::move(file), module, description));
}

} // namespace quern::cli
