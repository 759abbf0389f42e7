//===- Checkpoint.h - The weights of a Hugging Face folder ----------------===//
//
// Finds a model's weights by their canonical names, those of BERT, however the
// exporter spelled them (prefix `bert.`, `gamma` and `beta`) and whatever other
// families call them; checks shape, type and values, and hands them out as f32.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_IMPORT_CHECKPOINT_H
#define QUERN_COMPILER_IMPORT_CHECKPOINT_H

#include "compiler/Import/Safetensors.h"

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// The tensors of model.safetensors or of the shards of its index.
class Checkpoint {
public:
  /// Opens the weights of `folder`.
  static Expected<Checkpoint> open(const std::string &folder);

  /// True when a tensor of this canonical name is there.
  bool has(std::string_view name) const;

  /// The tensor of a canonical name (`encoder.layer.0.output.dense.weight`).
  /// It must have this shape, be f32, f16 or bf16, and hold finite values.
  Expected<FloatData> read(std::string_view name,
                           const std::vector<int64_t> &shape);

  /// An error for a tensor of an encoder layer beyond the first `layers`.
  Error checkLayers(int64_t layers) const;

  /// Stored names that no read() asked for, in alphabetical order.
  std::vector<std::string> unused() const;

  /// The file that messages about missing tensors name.
  const std::string &path() const { return file; }

private:
  Checkpoint(std::string file, SafetensorsMap tensors);
  /// The canonical name as this checkpoint prefixes it.
  std::string storedName(std::string_view name) const;
  /// The stored tensor of a canonical name, or null.
  const SafetensorsMap::value_type *find(std::string_view name) const;

  std::string file;
  SafetensorsMap tensors;
  /// `bert.`, `distilbert.`, `vit.`, ... or nothing.
  std::string prefix;
  /// Names of DistilBERT's layers, and of ELECTRA's head.
  bool isDistilled = false, isElectra = false;
  std::set<std::string, std::less<>> used;
};

} // namespace quern

#endif // QUERN_COMPILER_IMPORT_CHECKPOINT_H
