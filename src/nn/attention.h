/// Grouped-query self-attention with the variations of the supported architectures.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "nn/attention_core.h"
#include "nn/forward_context.h"
#include "nn/linear.h"
#include "nn/rms_norm.h"

namespace moe::nn {

enum class QkNorm { None, PerHead, Whole };

struct AttentionSpec {
  std::string name;
  std::int64_t layer = 0;  ///< index into the key-value cache
  std::int64_t width = 0;
  std::int64_t heads = 0;
  std::int64_t key_value_heads = 0;
  std::int64_t head_width = 0;
  bool input_bias = false;   ///< on q, k, v
  bool output_bias = false;  ///< on o
  QkNorm qk_norm = QkNorm::None;
  double norm_epsilon = 1e-6;
  std::optional<double> clip;  ///< clamps q, k, v
  std::int64_t window = 0;     ///< a query sees this many keys, itself included; 0 = all before it
  double deviation = 0.02;
  double output_deviation = 0.02;
};

/// q, k, v = projections; optional norm (per head, or over the whole projection), clip, rotary embedding; core; o.
/// @shape x [T, D] -> [T, D]
class Attention : public Module {
 public:
  explicit Attention(const AttentionSpec& spec);
  Variable forward(const Variable& x, const ops::RopeTable& rope, const ForwardContext& context);
  /// Replaces the core (context parallelism).
  void set_core(std::unique_ptr<AttentionCore> core) { core_ = std::move(core); }

 private:
  Variable project(const Variable& x, Linear& projection, RmsNorm* norm) const;

  AttentionSpec spec_;
  Linear q_;
  Linear k_;
  Linear v_;
  Linear o_;
  std::unique_ptr<RmsNorm> q_norm_;
  std::unique_ptr<RmsNorm> k_norm_;
  std::unique_ptr<AttentionCore> core_ = std::make_unique<LocalAttentionCore>();
};

}  // namespace moe::nn
