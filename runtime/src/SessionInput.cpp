//===- SessionInput.cpp - texts and ids to token-packed inputs ------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// All sequences are laid end to end; offsets say where each begins. Ids are
// checked here, once, so that kernels may gather with them unchecked.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/Session.h"

#include <cinttypes>

using namespace quern;
using namespace quern::manifest;

void TokenInput::clear() {
  ids.clear();
  types.clear();
  offsets.clear();
  spans.clear();
  truncated.clear();
}

namespace {

quern_status outOfMemory(quern_error *error) {
  return fail(error, QUERN_ERROR_MEMORY, "out of memory for tokens");
}

/// Appends an encoding as a further sequence. False when memory is out.
bool append(TokenInput &input, const Encoding &encoding) {
  size_t start = input.ids.size(), count = encoding.size();
  if (!input.ids.resize(start + count) || !input.types.resize(start + count) ||
      !input.spans.resize(start + count) ||
      !input.offsets.push(int32_t(start + count)) ||
      !input.truncated.push(encoding.truncated()))
    return false;
  memcpy(input.ids.data() + start, encoding.ids(), count * sizeof(int32_t));
  memcpy(input.types.data() + start, encoding.typeIds(),
         count * sizeof(int32_t));
  memcpy(input.spans.data() + start, encoding.spans(), count * sizeof(Span));
  return true;
}

} // namespace

quern_status quern_session::tokenize(const quern_text *texts, uint32_t count,
                                     uint32_t options, quern_error *error) {
  input.clear();
  result = nullptr;
  if (quern_status status = refuseImages(error))
    return status;
  if (!texts || count == 0)
    return fail(error, QUERN_ERROR_ARGUMENT, "no text to run");
  if (!module.tokenizer.size())
    return fail(error, QUERN_ERROR_ARGUMENT,
                "the module has no tokenizer; run ids");
  uint32_t limit = lengthLimit;
  if (!input.offsets.push(0))
    return outOfMemory(error);
  for (uint32_t i = 0; i < count; ++i) {
    const quern_text &text = texts[i];
    if (!text.text && text.text_bytes)
      return fail(error, QUERN_ERROR_ARGUMENT, "text %u is null", i);
    if (text.pair && module.manifest->model()->type_vocab() < 2)
      return fail(error, QUERN_ERROR_ARGUMENT,
                  "text %u: found a pair, expected a single text: the model "
                  "has no second token type",
                  i);
    std::string_view first(text.text ? text.text : "", text.text_bytes);
    EncodeStatus status =
        text.pair ? module.tokenizer.encode(
                        first, std::string_view(text.pair, text.pair_bytes),
                        limit, encoding)
                  : module.tokenizer.encode(first, limit, encoding);
    if (status == EncodeStatus::OutOfMemory)
      return outOfMemory(error);
    if (status == EncodeStatus::TextTooLong)
      return fail(error, QUERN_ERROR_TOO_LONG,
                  "text %u: found %zu bytes, expected less than 4 GB", i,
                  text.text_bytes);
    if (status != EncodeStatus::Ok)
      return fail(error, QUERN_ERROR_ARGUMENT,
                  "text %u: the model's limit of %u tokens leaves no room for "
                  "text",
                  i, limit);
    if (encoding.truncated() && (options & QUERN_RUN_STRICT))
      return fail(error, QUERN_ERROR_TOO_LONG,
                  "text %u: found more than %u tokens, the limit", i, limit);
    if (input.ids.size() + encoding.size() > INT32_MAX)
      return fail(error, QUERN_ERROR_ARGUMENT,
                  "too many tokens at once; run smaller batches");
    if (!append(input, encoding))
      return outOfMemory(error);
  }
  const Model &model = *module.manifest->model();
  for (size_t i = 0; i < input.ids.size(); ++i)
    if (uint32_t(input.ids[i]) >= model.vocab() ||
        uint32_t(input.types[i]) >= model.type_vocab())
      return fail(error, QUERN_ERROR_FORMAT,
                  "the tokenizer gave id %d of type %d, but the model has %u "
                  "embeddings and %u types",
                  input.ids[i], input.types[i], model.vocab(),
                  model.type_vocab());
  return QUERN_OK;
}

quern_status quern_session::takeIds(const int32_t *ids, const int32_t *types,
                                    const int32_t *offsets, uint32_t sequences,
                                    quern_error *error) {
  input.clear();
  result = nullptr;
  if (quern_status status = refuseImages(error))
    return status;
  if (!ids || !offsets || sequences == 0)
    return fail(error, QUERN_ERROR_ARGUMENT, "no ids to run");
  const Model &model = *module.manifest->model();
  if (offsets[0] != 0)
    return fail(error, QUERN_ERROR_ARGUMENT,
                "offsets[0]: found %d, expected "
                "0",
                offsets[0]);
  for (uint32_t s = 0; s < sequences; ++s) {
    int64_t length = int64_t(offsets[s + 1]) - offsets[s];
    if (length < 1 || length > model.max_length())
      return fail(error,
                  length < 1 ? QUERN_ERROR_ARGUMENT : QUERN_ERROR_TOO_LONG,
                  "sequence %u: found %" PRId64 " tokens, expected 1 to %u", s,
                  length, model.max_length());
  }
  size_t tokens = size_t(offsets[sequences]);
  if (!input.ids.resize(tokens) || !input.types.resize(tokens) ||
      !input.offsets.resize(size_t(sequences) + 1)) {
    input.clear();
    return outOfMemory(error);
  }
  memcpy(input.ids.data(), ids, tokens * sizeof(int32_t));
  memcpy(input.offsets.data(), offsets,
         (size_t(sequences) + 1) * sizeof(int32_t));
  if (types)
    memcpy(input.types.data(), types, tokens * sizeof(int32_t));
  else
    memset(input.types.data(), 0, tokens * sizeof(int32_t));
  for (size_t i = 0; i < tokens; ++i) {
    const char *what = nullptr;
    int32_t found = ids[i];
    uint32_t limit = model.vocab();
    if (found < 0 || uint32_t(found) >= limit) {
      what = "id";
    } else if (uint32_t(input.types[i]) >= model.type_vocab()) {
      what = "type id";
      found = input.types[i];
      limit = model.type_vocab();
    }
    if (what) {
      input.clear();
      return fail(error, QUERN_ERROR_ARGUMENT,
                  "token %zu: %s: found %d, expected 0 to %u", i, what, found,
                  limit - 1);
    }
  }
  return QUERN_OK;
}

void quern_session::fillInputs(const RunSize &size) {
  const auto &buffers = *module.manifest->buffers();
  uint32_t tokens = input.tokens(), sequences = input.sequences();
  for (uint32_t i = 0; i < buffers.size(); ++i) {
    const Buffer &buffer = *buffers.Get(i);
    auto *to = reinterpret_cast<int32_t *>(addresses[i]);
    size_t count = tokens;
    switch (buffer.role()) {
    case Role::Ids:
      memcpy(to, input.ids.data(), tokens * sizeof(int32_t));
      break;
    case Role::Types:
      memcpy(to, input.types.data(), tokens * sizeof(int32_t));
      break;
    case Role::Positions:
      for (uint32_t s = 0; s < sequences; ++s)
        for (int32_t t = input.offsets[s]; t < input.offsets[s + 1]; ++t)
          to[t] = t - input.offsets[s];
      break;
    case Role::Offsets:
      count = size_t(sequences) + 1;
      memcpy(to, input.offsets.data(), count * sizeof(int32_t));
      // Further sequences have no tokens.
      for (; count <= size.sequences; ++count)
        to[count] = int32_t(tokens);
      break;
    case Role::Patches:
      fillPatches(buffer, addresses[i]);
      memset(addresses[i] + tokens * buffer.bytes_per_unit(), 0,
             (size.tokens - tokens) * buffer.bytes_per_unit());
      continue;
    default:
      continue;
    }
    // Kernels may compute rows of slack: give them valid indices.
    size_t end = size_t(size.rows(buffer.unit())) + QUERN_SLACK_ROWS;
    memset(to + count, 0, (end - count) * sizeof(int32_t));
  }
}

void quern_session::describe(quern_output &output, bool data,
                             bool texts) const {
  const Model &model = *module.manifest->model();
  output = {};
  output.tokens = input.tokens();
  output.sequences = input.sequences();
  output.ids = model.image() ? nullptr : input.ids.data();
  output.type_ids = model.image() ? nullptr : input.types.data();
  output.offsets = input.offsets.data();
  if (texts) {
    static_assert(sizeof(uint32_t[2]) == sizeof(Span), "the same two fields");
    output.truncated = input.truncated.data();
    output.spans = reinterpret_cast<const uint32_t (*)[2]>(input.spans.data());
  }
  if (data) {
    output.data = result;
    output.rows = uint32_t(rowsOf(model.rows()));
    output.columns = model.columns();
  }
}
