/// A model at rest that runs over tokens with the weights of one block in memory at a time: for
/// verification and calibration of models larger than memory.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "growth/stage.h"
#include "model/block.h"

namespace moe::growth {

/// What one MoE layer did with one sequence.
struct LayerRun {
  std::int64_t layer = 0;
  Block* block = nullptr;  ///< its weights are in memory during the call
  Tensor x_TD;             ///< what router and experts were given
  BalanceTerm term;        ///< scores over all experts, logsumexp, choices before and after dropping
  Tensor weight_TK;        ///< combine weights of the choices
  Tensor rows_RD;          ///< weighted outputs of the experts, sorted by expert
  Tensor offset_E1;        ///< i32: rows of expert e are [offset[e], offset[e + 1])
};
using LayerObserver = std::function<void(const LayerRun&)>;

/// Nothing is read before it is needed, and nothing of the model is kept between calls.
/// @invariant computes what Model(config) with these weights computes in evaluation, bit by bit
/// @cost one reading of the weights a call; activations of all tokens at one depth in memory
/// @thread needs a current DeviceContext
class BlockwiseModel {
 public:
  explicit BlockwiseModel(ModelSource source, DType compute_dtype = DType::F32);

  const ModelConfig& config() const { return source_.config; }
  const checkpoint::TensorSource& weights() const { return *source_.weights; }
  DType compute_dtype() const { return dtype_; }

  /// `tokens` cut into sequences, of max_position_embeddings tokens but at most 1024; the last may
  /// be shorter. Every other function sees them so.
  std::vector<std::span<const std::int32_t>> sequences(std::span<const std::int32_t> tokens) const;

  /// The final normed states of each sequence. `observe` is called for every MoE layer and
  /// sequence, layer by layer. @shape each [S, D]
  /// @throws DataError for a token outside the vocabulary
  std::vector<Tensor> hidden(std::span<const std::int32_t> tokens,
                             const LayerObserver& observe = {}) const;

  /// Only what observers see: stops before the norm.
  void observe(std::span<const std::int32_t> tokens, const LayerObserver& observe) const;

  /// The weight that turns hidden states into logits. @shape [V, D] in the compute dtype
  Tensor head() const;

  /// All logits; for few tokens, else see compare.h. @shape [T, V] f32 (f64)
  Tensor logits(std::span<const std::int32_t> tokens) const;

  /// Mean cross-entropy of each sequence's next tokens.
  double loss(std::span<const std::int32_t> tokens) const;

 private:
  std::vector<Tensor> run_blocks(std::span<const std::int32_t> tokens,
                                 const LayerObserver& observe) const;
  Tensor embed(std::span<const std::int32_t> sequence) const;
  void require_tokens(std::span<const std::int32_t> tokens) const;

  ModelSource source_;
  DType dtype_;
};

}  // namespace moe::growth
