/// A decoder assembled from its config: embedding, blocks, norm, head.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "model/block.h"
#include "model/loss_head.h"
#include "model/model_config.h"
#include "moe/balance_loss.h"

namespace moe {

/// What one micro-batch of B sequences of S tokens feeds the model.
struct ModelInput {
  Tensor token_T;     ///< i32 [B*S]
  Tensor target_T;    ///< i32 [B*S], negative = not counted; undefined when only logits are wanted
  Tensor position_T;  ///< i32 [B*S] for rotary embedding; undefined: 0 .. S-1 in each sequence
  Tensor begin_T;     ///< i32 [B*S]: first position of the sequence each token may see (document bound); undefined: 0
  Tensor mask_T;      ///< u8 [B*S], 0 = padding; undefined: all real
  std::int64_t batch = 1;
};

/// The model's losses over one micro-batch, as shares of the step's loss.
struct ModelLoss {
  Variable total;          ///< [1] f64: cross-entropy + coefficients * router losses
  double cross_entropy = 0;
  double balance = 0;      ///< unweighted, 1 = balanced; 0 for dense models
  double z = 0;            ///< unweighted
  Tensor loss_T;           ///< per token, unscaled
  std::vector<BalanceTerm> terms;  ///< for reports; values only
};

/// Life: built (shapes) -> placed and its parts replaced by parallel/ -> materialised.
class Model : public nn::Module {
 public:
  explicit Model(const ModelConfig& config);

  const ModelConfig& config() const { return config_; }

  /// Allocates and initialises every parameter. @throws OutOfMemory with the per-category table
  void materialize(DType compute_dtype, std::uint64_t seed);
  /// Allocates only; a checkpoint follows.
  void allocate(DType compute_dtype);
  DType compute_dtype() const { return compute_dtype_; }

  /// Forward of one micro-batch up to its losses.
  /// @grad to all parameters once `total` is played back with gradient 1
  /// @throws ShapeError, DataError (a token out of range)
  ModelLoss loss(const ModelInput& input, const LossScale& scale, nn::Phase phase);

  /// Logits of the last `rows` positions of each sequence, or of all with rows 0. @shape [B*rows, V] f32 (f64)
  Tensor logits(const ModelInput& input, nn::KeyValueCache* cache = nullptr, std::int64_t rows = 0);

  std::vector<std::unique_ptr<Block>>& blocks() { return blocks_; }
  void set_loss_head(std::unique_ptr<LossHead> head) { head_ = std::move(head); }
  void set_routing_sums(std::unique_ptr<RoutingSums> sums) { sums_ = std::move(sums); }
  RoutingSums& routing_sums() { return *sums_; }
  /// Recompute every block's activations in backward.
  void set_recompute(bool recompute) { recompute_ = recompute; }
  /// The head's weight: a parameter of its own, or the embedding when tied.
  nn::Parameter& head_weight() { return head_weight_ != nullptr ? *head_weight_ : *embedding_; }

 private:
  nn::ForwardContext make_context(const ModelInput& input, nn::KeyValueCache* cache,
                                  nn::Phase phase) const;
  Variable hidden(const ModelInput& input, const nn::ForwardContext& context,
                  std::vector<BalanceTerm>& terms);
  void require_tokens(const Tensor& token_T) const;
  void add_router_losses(BalanceInput input, ModelLoss& loss);
  const ops::RopeTable& rope_for(std::int64_t positions);

  ModelConfig config_;
  DType compute_dtype_ = DType::F32;
  nn::Parameter* embedding_;
  std::vector<std::unique_ptr<Block>> blocks_;
  nn::RmsNorm norm_;
  nn::Parameter* head_weight_ = nullptr;
  std::unique_ptr<LossHead> head_ = make_chunked_loss_head();
  std::unique_ptr<BalanceLoss> balance_;
  std::unique_ptr<RoutingSums> sums_ = std::make_unique<RoutingSums>();
  ops::RopeTable rope_;
  bool recompute_ = false;
};

}  // namespace moe
