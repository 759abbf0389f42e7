//===- ModelInfo.h - What is known of a model beside its weights ----------===//
//
// Plain facts of an imported model, as the graph builder, the driver and the
// module's manifest need them. No file format shows through.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_IMPORT_MODELINFO_H
#define QUERN_COMPILER_IMPORT_MODELINFO_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// What the model computes from the last hidden state.
enum class HeadKind {
  Classification,
  Regression,
  TokenClassification,
  QuestionAnswering,
  Embedding
};

/// How an embedding is made from the hidden states of a sequence.
enum class PoolingKind { Cls, Mean };

/// The activation between the two linear layers of the feed-forward part.
enum class ActivationKind { Gelu, GeluTanh, Relu };

/// The activation of the layer between a pooled vector and the head.
enum class PoolerActivation { Tanh, Relu, Gelu };

/// `classification`, `regression`, `token_classification`, ...
std::string_view headName(HeadKind head);
/// `cls` or `mean`.
std::string_view poolingName(PoolingKind pooling);
/// `gelu`, `gelu_tanh` or `relu`.
std::string_view activationName(ActivationKind activation);

/// What a vision model sees: square images, cut into square patches.
struct ImageInfo {
  /// Pixels along an edge of the image and of a patch.
  int64_t size = 0, patch = 0;
  /// Colours.
  int64_t channels = 0;
  /// Tokens before those of the patches: the class, and in DeiT one for
  /// distillation.
  int64_t specialTokens = 1;
  /// A byte of a file stands for (byte * rescale - mean) / deviation, of its
  /// channel; no means where the folder does not say.
  double rescale = 1;
  std::vector<float> mean, deviation;

  int64_t patches() const { return (size / patch) * (size / patch); }
  /// Numbers in a patch.
  int64_t patchSize() const { return channels * patch * patch; }
};

/// The facts.
struct ModelInfo {
  std::string family = "bert";
  HeadKind head = HeadKind::Embedding;
  /// One name per output of the head; empty for embeddings.
  std::vector<std::string> labels;

  int64_t hidden = 0;
  int64_t heads = 0;
  int64_t layers = 0;
  int64_t intermediate = 0;
  /// Rows of the word, type and position tables; vision models have no words
  /// and no types.
  int64_t vocab = 0;
  int64_t typeVocab = 0;
  int64_t positions = 0;
  /// Without, all rows of the type table are zero.
  bool hasTypes = true;
  /// Tokens that a sequence may have; at most `positions`.
  int64_t maxLength = 0;
  double layerNormEps = 1e-12;
  ActivationKind activation = ActivationKind::Gelu;

  /// Meaning for embeddings only; sequence heads pool the first token.
  PoolingKind pooling = PoolingKind::Cls;
  /// The embedding is scaled to length 1.
  bool normalize = false;
  /// The pooled vector goes through a linear layer and an activation. Those of
  /// other families than BERT's belong to their heads: models without a head
  /// have none.
  bool pooler = false;
  PoolerActivation poolerActivation = PoolerActivation::Tanh;

  /// Of vision models.
  std::optional<ImageInfo> image;
  /// Linear layers of Q, K and V have a bias.
  bool qkvBias = true;
};

} // namespace quern

#endif // QUERN_COMPILER_IMPORT_MODELINFO_H
