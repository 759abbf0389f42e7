//===- ImageCheck.cpp - is what a manifest says of images sound? ----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/ImageCheck.h"

#include "runtime/src/CheckReport.h"

#include <cmath>

using namespace quern;
using namespace quern::manifest;

namespace {

// Far above any real model; with these, no product overflows 64 bits.
constexpr uint64_t maxSize = 1u << 14;
constexpr uint64_t maxPatch = 1u << 10;
constexpr uint64_t maxChannels = 64;
constexpr uint64_t maxSpecial = 16;

class Checker : CheckReport {
public:
  Checker(const char *path, const Manifest &manifest, quern_error *error)
      : CheckReport(path, manifest, error) {}

  quern_status check() {
    const Image *image = manifest.model()->image();
    uint64_t patches = count(Role::Patches);
    if (!image)
      return patches ? bad("inputs of patches", patches, "", 0) : QUERN_OK;
    if (patches != 1)
      return bad("inputs of patches", patches, "", 1);
    if (uint64_t indices = count(Role::Ids) + count(Role::Types))
      return bad("inputs of ids and types", indices, "", 0);
    if (quern_status status = checkSizes(*image))
      return status;
    if (quern_status status = checkPatches(*image))
      return status;
    return checkNumbers(*image);
  }

private:
  quern_status bad(const char *what, uint64_t found, const char *relation,
                   uint64_t expected) {
    return CheckReport::bad("image", "", what, found, relation, expected);
  }

  uint64_t count(Role role) const {
    uint64_t found = 0;
    for (const Buffer *buffer : *manifest.buffers())
      found += buffer->role() == role;
    return found;
  }

  quern_status checkSizes(const Image &image) {
    struct {
      const char *what;
      uint64_t found, most;
    } sizes[] = {{"size", image.size(), maxSize},
                 {"patch", image.patch(), maxPatch},
                 {"channels", image.channels(), maxChannels},
                 {"special tokens", image.special(), maxSpecial}};
    for (const auto &size : sizes)
      if (size.found == 0 || size.found > size.most)
        return bad(size.what, size.found, "1 to ", size.most);
    if (image.size() % image.patch() != 0)
      return bad("size", image.size(), "a multiple of ", image.patch());
    uint64_t across = image.size() / image.patch();
    uint64_t tokens = image.special() + across * across;
    if (manifest.model()->max_length() != tokens)
      return bad("tokens", manifest.model()->max_length(), "", tokens);
    return QUERN_OK;
  }

  quern_status checkPatches(const Image &image) {
    uint64_t numbers =
        uint64_t(image.channels()) * image.patch() * image.patch();
    for (const Buffer *buffer : *manifest.buffers()) {
      if (buffer->role() != Role::Patches)
        continue;
      if (buffer->element() != Element::F32)
        return bad("element of the patches", uint64_t(buffer->element()), "",
                   uint64_t(Element::F32));
      if (buffer->unit() != Unit::Tokens)
        return bad("unit of the patches", uint64_t(buffer->unit()), "",
                   uint64_t(Unit::Tokens));
      // Its bytes per unit hold them: each buffer was checked.
      if (buffer->columns() != numbers)
        return bad("numbers of a patch", buffer->columns(), "", numbers);
    }
    return QUERN_OK;
  }

  /// How bytes become numbers: nothing, or a value for each channel.
  quern_status checkNumbers(const Image &image) {
    uint64_t means = lengthOf(image.mean());
    uint64_t deviations = lengthOf(image.deviation());
    if (means == 0 && deviations == 0)
      return QUERN_OK;
    if (means != image.channels())
      return bad("means", means, "", image.channels());
    if (deviations != image.channels())
      return bad("deviations", deviations, "", image.channels());
    if (!(std::isfinite(image.rescale()) && image.rescale() > 0))
      return number("rescale", image.rescale());
    for (uint32_t c = 0; c < image.channels(); ++c) {
      if (!std::isfinite(image.mean()->Get(c)))
        return number("mean", double(image.mean()->Get(c)));
      float deviation = image.deviation()->Get(c);
      if (!(std::isfinite(deviation) && deviation > 0))
        return number("deviation", double(deviation));
    }
    return QUERN_OK;
  }

  quern_status number(const char *what, double found) {
    return fail(error, QUERN_ERROR_FORMAT,
                "%s: manifest: image: %s: found %g, expected a finite number%s",
                path, what, found, what[0] == 'm' ? "" : " above 0");
  }
};

} // namespace

quern_status quern::checkImage(const char *path, const Manifest &manifest,
                               quern_error *error) {
  return Checker(path, manifest, error).check();
}
