//===- ManifestCheck.cpp - is a manifest sound? ---------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// See ManifestCheck.h.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/ManifestCheck.h"

#include "runtime/src/CheckReport.h"
#include "runtime/src/ConstantCheck.h"
#include "runtime/src/DeviceCheck.h"
#include "runtime/src/ImageCheck.h"

#include <cinttypes>

using namespace quern;
using namespace quern::manifest;

namespace {

// Limits far above any real model, so that products fit in 64 bits.
constexpr uint64_t maxRowBytes = 1u << 26;
constexpr uint64_t maxArenaPerUnit = uint64_t(1) << 32;
constexpr uint64_t maxArenaConstant = uint64_t(1) << 38;
constexpr uint64_t maxScratch = uint64_t(1) << 32;
constexpr uint32_t maxLength = 1u << 20;
constexpr uint32_t maxFactor = 1u << 20;

/// Checks of one manifest. Each method returns a status and has filled the
/// error with file, item, found and expected.
class Checker : CheckReport {
public:
  Checker(const char *path, const Manifest &manifest, uint64_t weightsBytes,
          quern_error *error)
      : CheckReport(path, manifest, error), weightsBytes(weightsBytes) {}

  quern_status check() {
    if (manifest.abi_version() != QUERN_ABI_VERSION)
      return fail(error, QUERN_ERROR_VERSION,
                  "%s: manifest: ABI version: found %u, expected %u; compile "
                  "the model again with this version of quern",
                  path, manifest.abi_version(), QUERN_ABI_VERSION);
    if (quern_status status = checkModel())
      return status;
    if (quern_status status = checkArena())
      return status;
    if (quern_status status = checkBuffers())
      return status;
    if (quern_status status = checkImage(path, manifest, error))
      return status;
    if (quern_status status =
            checkConstants(path, manifest, weightsBytes, error))
      return status;
    if (quern_status status = checkSteps())
      return status;
    return checkSites();
  }

private:
  quern_status checkModel() {
    const Model &model = *manifest.model();
    if (model.head() > Head::MAX)
      return bad("model", "", "head", uint64_t(model.head()), "at most ",
                 uint64_t(Head::MAX));
    if (model.pooling() > Pooling::MAX)
      return bad("model", "", "pooling", uint64_t(model.pooling()), "at most ",
                 uint64_t(Pooling::MAX));
    if (model.max_length() == 0 || model.max_length() > maxLength)
      return bad("model", "", "max_length", model.max_length(), "1 to ",
                 maxLength);
    if (model.image() ? model.vocab() != 0
                      : model.vocab() == 0 || model.vocab() > INT32_MAX)
      return model.image()
                 ? bad("model", "", "vocab beside images", model.vocab(), "", 0)
                 : bad("model", "", "vocab", model.vocab(), "1 to ", INT32_MAX);
    if (model.columns() == 0 || model.columns() > maxRowBytes / 4)
      return bad("model", "", "columns", model.columns(), "1 to ",
                 maxRowBytes / 4);
    if (model.rows() != Unit::Tokens && model.rows() != Unit::Sequences)
      return bad("model", "", "rows", uint64_t(model.rows()), "at most ",
                 uint64_t(Unit::Sequences));
    return QUERN_OK;
  }

  quern_status checkArena() {
    if (manifest.scratch_bytes() > maxScratch)
      return bad("scratch", "", "bytes", manifest.scratch_bytes(), "at most ",
                 maxScratch);
    const Extent *arena = manifest.arena();
    if (!arena)
      return QUERN_OK;
    if (arena->per_token() > maxArenaPerUnit)
      return bad("arena", "", "bytes per token", arena->per_token(), "at most ",
                 maxArenaPerUnit);
    if (arena->per_sequence() > maxArenaPerUnit)
      return bad("arena", "", "bytes per sequence", arena->per_sequence(),
                 "at most ", maxArenaPerUnit);
    if (arena->constant() > maxArenaConstant)
      return bad("arena", "", "constant bytes", arena->constant(), "at most ",
                 maxArenaConstant);
    return QUERN_OK;
  }

  quern_status checkBuffers() {
    uint32_t roles[uint32_t(Role::MAX) + 1] = {};
    for (const Buffer *buffer : *manifest.buffers()) {
      const char *name = buffer->name()->c_str();
      uint32_t bytes = elementBytes(buffer->element());
      if (!bytes)
        return bad("buffer", name, "element", uint64_t(buffer->element()),
                   "at most ", uint64_t(Element::MAX));
      if (buffer->unit() > Unit::MAX)
        return bad("buffer", name, "unit", uint64_t(buffer->unit()), "at most ",
                   uint64_t(Unit::MAX));
      if (buffer->role() > Role::MAX)
        return bad("buffer", name, "role", uint64_t(buffer->role()), "at most ",
                   uint64_t(Role::MAX));
      ++roles[uint32_t(buffer->role())];
      if (buffer->bytes_per_unit() > maxRowBytes)
        return bad("buffer", name, "bytes per unit", buffer->bytes_per_unit(),
                   "at most ", maxRowBytes);
      if (buffer->bytes_per_unit() % bytes != 0)
        return bad("buffer", name, "bytes per unit", buffer->bytes_per_unit(),
                   "a multiple of ", bytes);
      if (uint64_t(buffer->columns()) * bytes > buffer->bytes_per_unit())
        return bad("buffer", name, "bytes of a row's columns",
                   uint64_t(buffer->columns()) * bytes, "at most ",
                   buffer->bytes_per_unit());
      if (quern_status status = checkRole(*buffer, name))
        return status;
    }
    for (Role role : {Role::Ids, Role::Types, Role::Positions, Role::Offsets})
      if (roles[uint32_t(role)] > 1)
        return bad("buffers", "", EnumNameRole(role), roles[uint32_t(role)],
                   "at most ", 1);
    if (roles[uint32_t(Role::Output)] != 1)
      return bad("buffers", "", "outputs", roles[uint32_t(Role::Output)], "",
                 1);
    return QUERN_OK;
  }

  quern_status checkRole(const Buffer &buffer, const char *name) {
    const Model &model = *manifest.model();
    switch (buffer.role()) {
    case Role::Ids:
    case Role::Types:
    case Role::Positions:
    case Role::Offsets: {
      Unit unit = buffer.role() == Role::Offsets ? Unit::Offsets : Unit::Tokens;
      if (buffer.unit() != unit)
        return bad("buffer", name, "unit", uint64_t(buffer.unit()), "",
                   uint64_t(unit));
      if (buffer.element() != Element::I32 || buffer.bytes_per_unit() != 4)
        return bad("buffer", name, "bytes per unit of an i32 input",
                   buffer.bytes_per_unit(), "", 4);
      return QUERN_OK;
    }
    case Role::Output:
      if (buffer.element() != Element::F32)
        return bad("buffer", name, "element of the output",
                   uint64_t(buffer.element()), "", uint64_t(Element::F32));
      if (buffer.unit() != model.rows())
        return bad("buffer", name, "unit of the output",
                   uint64_t(buffer.unit()), "", uint64_t(model.rows()));
      if (buffer.columns() != model.columns())
        return bad("buffer", name, "columns of the output", buffer.columns(),
                   "", model.columns());
      return QUERN_OK;
    case Role::Tap:
    case Role::Patches:
      return QUERN_OK;
    case Role::Arena:
      return checkPlace(buffer, name);
    }
    return QUERN_OK;
  }

  /// Part by part, so that the buffer is inside at every capacity.
  quern_status checkPlace(const Buffer &buffer, const char *name) {
    const Extent *place = buffer.arena(), *arena = manifest.arena();
    if (!place || !arena)
      return bad("buffer", name, "places in the arena", 0, "", 1);
    if (buffer.unit() == Unit::Pairs || buffer.unit() == Unit::Offsets)
      return bad("buffer", name, "unit of an arena buffer",
                 uint64_t(buffer.unit()), "at most ",
                 uint64_t(Unit::Sequences));
    uint64_t row = buffer.bytes_per_unit();
    bool tokens = buffer.unit() == Unit::Tokens;
    uint64_t slack = row * QUERN_SLACK_ROWS + QUERN_SLACK_BYTES;
    struct {
      const char *what;
      uint64_t start, size, limit;
    } parts[] = {{"end per token", place->per_token(), tokens ? row : 0,
                  arena->per_token()},
                 {"end per sequence", place->per_sequence(), tokens ? 0 : row,
                  arena->per_sequence()},
                 {"end of the constant part", place->constant(), slack,
                  arena->constant()}};
    for (auto &part : parts) {
      if (part.start % QUERN_DATA_ALIGN != 0)
        return bad("buffer", name, part.what, part.start, "a multiple of ",
                   QUERN_DATA_ALIGN);
      if (part.start > part.limit || part.size > part.limit - part.start)
        return bad("buffer", name, part.what, part.start + part.size,
                   "at most ", part.limit);
    }
    return QUERN_OK;
  }

  quern_status checkSteps() {
    for (const Step *step : *manifest.steps()) {
      const char *name = step->name()->c_str();
      if (step->kernel() >= manifest.kernels()->size())
        return bad("step", name, "kernel", step->kernel(), "below ",
                   manifest.kernels()->size());
      if (step->base() > ChunkBase::MAX)
        return bad("step", name, "chunk base", uint64_t(step->base()),
                   "at most ", uint64_t(ChunkBase::MAX));
      if (step->divide() == 0 || step->divide() > maxFactor)
        return bad("step", name, "chunk divisor", step->divide(), "1 to ",
                   maxFactor);
      if (step->multiply() == 0 || step->multiply() > maxFactor)
        return bad("step", name, "chunk factor", step->multiply(), "1 to ",
                   maxFactor);
      bool taps = false;
      for (uint32_t i = 0; i < lengthOf(step->operands()); ++i)
        if (quern_status status =
                checkOperand(*step->operands()->Get(i), name, taps))
          return status;
      for (uint32_t i = 0; i < lengthOf(step->sites()); ++i)
        if (step->sites()->Get(i) >= lengthOf(manifest.sites()))
          return bad("step", name, "site", step->sites()->Get(i), "below ",
                     lengthOf(manifest.sites()));
    }
    return QUERN_OK;
  }

  quern_status checkOperand(const Operand &operand, const char *name,
                            bool &taps) {
    if (operand.kind() > OperandKind::MAX)
      return bad("step", name, "kind of operand", uint64_t(operand.kind()),
                 "at most ", uint64_t(OperandKind::MAX));
    bool data = operand.kind() == OperandKind::Data;
    uint32_t limit =
        data ? manifest.data()->size() : manifest.buffers()->size();
    if (operand.index() >= limit)
      return bad("step", name, data ? "constant" : "buffer", operand.index(),
                 "below ", limit);
    bool tap = operand.kind() == OperandKind::Tap;
    if (taps && !tap)
      return fail(error, QUERN_ERROR_FORMAT,
                  "%s: manifest: step %s: found an operand after its taps, "
                  "expected taps last",
                  path, name);
    taps |= tap;
    if (data)
      return QUERN_OK;
    const Buffer *buffer = manifest.buffers()->Get(operand.index());
    if ((buffer->role() == Role::Tap) != tap)
      return fail(error, QUERN_ERROR_FORMAT,
                  "%s: manifest: step %s: found buffer %s of role %s as a %s "
                  "operand",
                  path, name, buffer->name()->c_str(),
                  EnumNameRole(buffer->role()),
                  EnumNameOperandKind(operand.kind()));
    return QUERN_OK;
  }

  quern_status checkSites() {
    for (uint32_t i = 0; i < lengthOf(manifest.sites()); ++i) {
      const Site &site = *manifest.sites()->Get(i);
      const char *name = site.name()->c_str();
      uint32_t bytes = elementBytes(site.element());
      if (!bytes)
        return bad("site", name, "element", uint64_t(site.element()),
                   "at most ", uint64_t(Element::MAX));
      if (lengthOf(site.zero()) != lengthOf(site.scale()))
        return bad("site", name, "zero points", lengthOf(site.zero()),
                   "as many as scales, ", lengthOf(site.scale()));
      if (site.buffer() < 0)
        continue;
      if (uint32_t(site.buffer()) >= manifest.buffers()->size())
        return bad("site", name, "buffer", uint32_t(site.buffer()), "below ",
                   manifest.buffers()->size());
      const Buffer &buffer = *manifest.buffers()->Get(site.buffer());
      if (site.element() != buffer.element())
        return bad("site", name, "element", uint64_t(site.element()), "",
                   uint64_t(buffer.element()));
      uint64_t end = (uint64_t(site.column()) + site.columns()) * bytes;
      if (end > buffer.bytes_per_unit())
        return bad("site", name, "bytes of the row to its end", end, "at most ",
                   buffer.bytes_per_unit());
      if (site.range() != 0 &&
          (site.range() % 4 != 0 || site.range() < end ||
           uint64_t(site.range()) + 8 > buffer.bytes_per_unit()))
        return bad("site", name, "bytes of the row to its range", site.range(),
                   "a multiple of 4 after the codes and eight bytes below ",
                   buffer.bytes_per_unit());
      if (site.step() >= int32_t(manifest.steps()->size()))
        return bad("site", name, "step", uint32_t(site.step()), "below ",
                   manifest.steps()->size());
    }
    return QUERN_OK;
  }

  uint64_t weightsBytes;
};

} // namespace

uint32_t quern::elementBytes(Element element) {
  switch (element) {
  case Element::I8:
  case Element::U8:
    return 1;
  case Element::I16:
  case Element::U16:
    return 2;
  case Element::I32:
  case Element::F32:
    return 4;
  case Element::I64:
  case Element::F64:
    return 8;
  }
  return 0;
}

quern_status quern::readManifest(const char *path, const void *data,
                                 uint64_t bytes, uint64_t weightsBytes,
                                 const Manifest **manifest,
                                 quern_error *error) {
  *manifest = nullptr;
  auto *start = static_cast<const uint8_t *>(data);
  if (bytes > FLATBUFFERS_MAX_BUFFER_SIZE ||
      reinterpret_cast<uintptr_t>(data) % 8 != 0)
    return fail(error, QUERN_ERROR_FORMAT,
                "%s: manifest: found %" PRIu64
                " bytes, expected at most 2 GB aligned to 8",
                path, bytes);
  flatbuffers::Verifier verifier(start, bytes, 16, 1u << 22);
  if (!VerifyManifestBuffer(verifier))
    return fail(error, QUERN_ERROR_FORMAT,
                "%s: manifest: found %" PRIu64
                " bytes that are no FlatBuffer \"%s\" of this version",
                path, bytes, ManifestIdentifier());
  const Manifest *found = GetManifest(start);
  if (quern_status status = Checker(path, *found, weightsBytes, error).check())
    return status;
  if (quern_status status = checkDevice(path, *found, error))
    return status;
  *manifest = found;
  return QUERN_OK;
}
