//===- Safetensors.h - The safetensors file format ------------------------===//
//
// Reader (mapped, nothing copied) and writer of safetensors files: 8 bytes of
// header length, a JSON header, the data. The reader trusts nothing: lengths,
// offsets, shapes and types are checked against each other and the file.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_IMPORT_SAFETENSORS_H
#define QUERN_COMPILER_IMPORT_SAFETENSORS_H

#include "lib/Support/File.h"
#include "lib/Support/Status.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// One tensor of a mapped file.
struct SafetensorsTensor {
  /// Element type as the header spells it: `F32`, `I64`, ...
  std::string dtype;
  std::vector<int64_t> shape;
  /// The first byte, inside the mapping; aligned to nothing in particular.
  const std::byte *data = nullptr;
  size_t bytes = 0;
  /// The file that holds it; keeps the mapping alive.
  std::shared_ptr<const MappedFile> file;

  /// The number of elements.
  int64_t elements() const;
};

/// Tensors by name.
using SafetensorsMap = std::map<std::string, SafetensorsTensor, std::less<>>;

/// Maps one .safetensors file and checks its whole header.
Expected<SafetensorsMap> readSafetensors(const std::string &path);

/// Reads the shards that an index (`model.safetensors.index.json`) names.
/// Shards must lie in the folder of the index.
Expected<SafetensorsMap> readSafetensorsIndex(const std::string &path);

/// The values as f32: a view into the mapping where the file holds aligned
/// f32, a converted copy otherwise. Other element types are an error.
struct FloatData {
  const float *data = nullptr;
  size_t size = 0;
  /// Keeps mapping or copy alive.
  std::shared_ptr<const void> owner;
  /// True when `data` points into the mapped file.
  bool mapped = false;
};
Expected<FloatData> readFloats(const std::string &name,
                               const SafetensorsTensor &tensor);

/// The index of the first NaN or infinity, or `size` when there is none.
size_t findNonFinite(const float *data, size_t size);

/// IEEE binary16 and bfloat16 to f32 (exact) and back (nearest even).
float halfToFloat(uint16_t bits);
float bfloatToFloat(uint16_t bits);
uint16_t floatToHalf(float value);
uint16_t floatToBfloat(float value);

/// A tensor to write; `data` holds `bytes` in the file's byte order.
struct SafetensorsOutput {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
  std::vector<std::byte> data;
};

/// Writes a file that starts its data at a multiple of 64 bytes.
Error writeSafetensors(const std::string &path,
                       const std::vector<SafetensorsOutput> &tensors);

} // namespace quern

#endif // QUERN_COMPILER_IMPORT_SAFETENSORS_H
