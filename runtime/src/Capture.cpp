//===- Capture.cpp - keep every site of a run -----------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// See Capture.h.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/Capture.h"

using namespace quern;
using namespace quern::manifest;

namespace {

constexpr uint64_t nowhere = UINT64_MAX;

/// Bytes from the start of the buffer's row to the site's.
uint64_t columnBytes(const Site &site) {
  return uint64_t(site.column()) * elementBytes(site.element());
}

/// Bytes of a site's row, without what surrounds it in the buffer's row; with
/// the range of its own, if it has one.
uint64_t rowBytes(const Site &site) {
  return site.range() ? site.range() + 8 - columnBytes(site)
                      : uint64_t(site.columns()) * elementBytes(site.element());
}

/// Bytes of a tap with its slack.
uint64_t tapBytes(const Buffer &buffer, const RunSize &size) {
  return (size.rows(buffer.unit()) + QUERN_SLACK_ROWS) *
             buffer.bytes_per_unit() +
         QUERN_SLACK_BYTES;
}

} // namespace

uint64_t RunSize::rows(Unit unit) const {
  switch (unit) {
  case Unit::Tokens:
    return tokens;
  case Unit::Sequences:
    return sequences;
  case Unit::Offsets:
    return sequences + 1;
  case Unit::Pairs:
    return pairs;
  }
  return 0;
}

bool Capture::prepare(const Manifest &manifest, const RunSize &runSize,
                      Array<char *> &addresses) {
  size = runSize;
  uint64_t total = 0;
  auto take = [&](uint64_t bytes) {
    uint64_t at = total;
    total += roundUp(bytes, QUERN_DATA_ALIGN);
    return at;
  };
  // The taps come first; their addresses are set once the memory is there.
  const auto &buffers = *manifest.buffers();
  for (const Buffer *buffer : buffers)
    if (buffer->role() == Role::Tap)
      take(tapBytes(*buffer, size));
  copies.clear();
  if (!copies.resize(lengthOf(manifest.sites())))
    return false;
  for (uint32_t i = 0; i < copies.size(); ++i) {
    const Site &site = *manifest.sites()->Get(i);
    copies[i] = nowhere;
    if (site.buffer() < 0 || site.step() < 0)
      continue;
    const Buffer &buffer = *buffers.Get(uint32_t(site.buffer()));
    if (buffer.role() != Role::Tap)
      copies[i] = take(size.rows(buffer.unit()) * rowBytes(site));
  }
  if (total > memory.size() || !memory.data())
    if (!memory.allocate(total))
      return false;
  uint64_t at = 0;
  for (uint32_t i = 0; i < buffers.size(); ++i) {
    const Buffer &buffer = *buffers.Get(i);
    if (buffer.role() != Role::Tap)
      continue;
    addresses[i] = memory.data() + at;
    at += roundUp(tapBytes(buffer, size), QUERN_DATA_ALIGN);
  }
  return true;
}

void Capture::release(const Manifest &manifest, Array<char *> &addresses) {
  memory.release();
  const auto &buffers = *manifest.buffers();
  for (uint32_t i = 0; i < buffers.size(); ++i)
    if (buffers.Get(i)->role() == Role::Tap)
      addresses[i] = nullptr;
}

void Capture::afterStep(const Manifest &manifest, uint32_t index,
                        const Array<char *> &addresses) {
  for (uint32_t i = 0; i < copies.size(); ++i) {
    const Site &site = *manifest.sites()->Get(i);
    if (copies[i] == nowhere || uint32_t(site.step()) != index)
      continue;
    const Buffer &buffer = *manifest.buffers()->Get(uint32_t(site.buffer()));
    const char *from = addresses[uint32_t(site.buffer())] + columnBytes(site);
    char *to = memory.data() + copies[i];
    uint64_t bytes = rowBytes(site);
    for (uint64_t row = 0; row < size.rows(buffer.unit()); ++row)
      memcpy(to + row * bytes, from + row * buffer.bytes_per_unit(), bytes);
  }
}

bool Capture::view(const Manifest &manifest, uint32_t index,
                   const Array<char *> &addresses, quern_view &view) const {
  const Site &site = *manifest.sites()->Get(index);
  if (!on() || site.buffer() < 0 || index >= copies.size())
    return false;
  const Buffer &buffer = *manifest.buffers()->Get(uint32_t(site.buffer()));
  view.element = uint32_t(site.element());
  view.rows = size.rows(buffer.unit());
  view.columns = site.columns();
  view.valid_after = site.step();
  if (buffer.role() == Role::Tap) {
    view.data = addresses[uint32_t(site.buffer())] + columnBytes(site);
    view.stride = buffer.bytes_per_unit();
  } else {
    if (copies[index] == nowhere)
      return false;
    view.data = memory.data() + copies[index];
    view.stride = rowBytes(site);
  }
  view.ranges = site.range() ? static_cast<const char *>(view.data) +
                                   site.range() - columnBytes(site)
                             : nullptr;
  return true;
}
