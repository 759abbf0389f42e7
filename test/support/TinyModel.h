//===- TinyModel.h - Small random BERT folders for tests ------------------===//
//
// Writes Hugging Face folders of seeded random BERTs, of any widths and head
// and in every spelling that checkpoints come in, so that tests need no
// download. The same options give the same bytes on every machine.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_SUPPORT_TINYMODEL_H
#define QUERN_TEST_SUPPORT_TINYMODEL_H

#include "compiler/Import/ModelInfo.h"
#include "compiler/Import/Safetensors.h"
#include "lib/Support/Status.h"

#include <cstdint>
#include <string>
#include <vector>

namespace quern::test {

/// What to write.
struct TinyModelOptions {
  HeadKind head = HeadKind::Classification;
  /// model_type: bert, distilbert or electra. The weights are those of a BERT
  /// under other names.
  std::string family = "bert";
  /// The type table is zero, as if there was none.
  bool zeroTypes = false;
  int64_t hidden = 32;
  int64_t heads = 2;
  int64_t layers = 2;
  int64_t intermediate = 64;
  int64_t vocab = 384;
  int64_t positions = 64;
  int64_t types = 2;
  /// Outputs of the head (embeddings have none, question answering has two).
  int64_t labels = 2;
  /// hidden_act of config.json.
  std::string activation = "gelu";
  /// Embeddings: pooling and normalization, in sentence-transformers' files
  /// unless `pooler` asks for a bare BertModel with a pooler.
  PoolingKind pooling = PoolingKind::Mean;
  bool normalize = true;
  bool pooler = false;

  /// Names start with `bert.`
  bool prefix = true;
  /// LayerNorm.gamma and LayerNorm.beta.
  bool oldNames = false;
  /// An int64 buffer that a reader has to ignore.
  bool positionIds = true;
  /// F32, F16 or BF16.
  std::string dtype = "F32";
  /// More than one: files with an index.
  int shards = 1;
  uint64_t seed = 1;

  /// Not 0: what channel 3 of each FFN output has as its bias. The LayerNorm
  /// behind brings the channels back to one size, as in trained models. Only
  /// of F32 weights.
  int64_t outlier = 0;

  /// Quantizers with learned ranges beside the weights, as the code published
  /// with the PEG paper saves them, and its names of modules.
  bool learned = false;
  /// Groups of channels that they have at x, h and y: channel j is in group
  /// (7 j) mod learnedGroups. With learnedSteps they are as many blocks of
  /// channels, at emb, g, u, f and z as well, and with learnedMix each has bits
  /// of its own.
  int64_t learnedGroups = 0;
  /// One weight scale for each row.
  bool learnedRows = false;
  /// Symmetric activations.
  bool learnedSymmetric = false;
  /// Learned steps of so many bits in place of ranges, with the names of the
  /// Quantization Variation code: seven of each, real offsets at c, g, x, f, h,
  /// z and the embeddings. 0 for ranges.
  int64_t learnedSteps = 0;
  /// The attention's weights have steps and bits by heads, 2 to learnedSteps
  /// bits, and other sites and weights as many bits as their turn has: 2 to 8.
  bool learnedMix = false;
  /// Queries, keys, values, probabilities and context have a step and bits for
  /// each head, too, 2 to learnedSteps.
  bool learnedHeads = false;
};

/// The weights in the order of the file.
std::vector<SafetensorsOutput> tinyWeights(const TinyModelOptions &options);

/// The quantizers of TinyModelOptions::learned, for the given weights, which
/// get the names of the published code.
std::vector<SafetensorsOutput>
learnedQuantizers(const TinyModelOptions &options,
                  std::vector<SafetensorsOutput> &weights);

/// Gives the weights of a BERT the names of the family, and takes away what it
/// has not.
void renameForFamily(const TinyModelOptions &options,
                     std::vector<SafetensorsOutput> &weights);

/// The text of config.json.
std::string tinyConfig(const TinyModelOptions &options);

/// The text of vocab.txt: special tokens, characters, words and pieces of
/// English, then unused entries up to `size`.
std::string tinyVocabulary(int64_t size);

/// The least vocabulary: all entries but the unused ones.
int64_t tinyVocabularySize();

/// Writes everything into `folder`, which is made when it is not there.
Error writeTinyModel(const std::string &folder,
                     const TinyModelOptions &options);

/// Writes the weights only: one file, or shards with an index.
Error writeTinyWeights(const std::string &folder,
                       const std::vector<SafetensorsOutput> &weights,
                       int shards = 1);

/// Writes one text file.
Error writeText(const std::string &path, const std::string &text);

} // namespace quern::test

#endif // QUERN_TEST_SUPPORT_TINYMODEL_H
