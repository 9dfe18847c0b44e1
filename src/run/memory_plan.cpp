#include "run/memory_plan.h"

#include <algorithm>

#include "model/model.h"

namespace moe::run {
namespace {

/// Sizes that recur in the formulas, of one rank's micro-batch.
struct Sizes {
  std::int64_t tokens;
  std::int64_t width;
  std::int64_t query;      // heads * head width
  std::int64_t key_value;  // key-value heads * head width
  std::int64_t heads;
  std::int64_t experts;
  std::int64_t choices;
  std::int64_t rows;       // routed copies this rank computes, balanced
  std::int64_t expert_hidden;
  std::int64_t element;    // bytes of an activation
};

Sizes sizes_of(const RunConfig& config, std::int64_t element) {
  const ModelConfig& m = config.model;
  const std::int64_t tokens = config.training.micro_batch_size * config.training.sequence_length;
  return {.tokens = tokens,
          .width = m.hidden_size,
          .query = m.num_attention_heads * m.head_width(),
          .key_value = m.key_value_heads() * m.head_width(),
          .heads = m.num_attention_heads,
          .experts = m.num_experts,
          .choices = m.num_experts_per_tok,
          .rows = tokens * m.num_experts_per_tok,
          .expert_hidden = m.expert_width(),
          .element = element};
}

std::int64_t attention_bytes(const ModelConfig& m, const Sizes& s) {
  // Input (kept by the norm), normed input, q, k, v, output; a row statistic and a log-sum-exp a head.
  std::int64_t elements = 2 * s.width + 2 * s.query + 2 * s.key_value;
  if (m.qk_norm != "none") elements += s.query + s.key_value;
  if (m.clip_qkv) elements += s.query + 2 * s.key_value;
  return s.tokens * (elements * s.element + 4 + 4 * s.heads);
}

std::int64_t dense_bytes(const ModelConfig& m, const Sizes& s, std::int64_t hidden) {
  return s.tokens * hidden * (m.mlp_gated ? 3 : 2) * s.element;
}

std::int64_t sparse_bytes(const ModelConfig& m, const Sizes& s, bool exchanged) {
  std::int64_t bytes = s.tokens * (s.experts * 4 + 4 + s.choices * 20) +
                       s.rows * (s.expert_hidden * (m.mlp_gated ? 3 : 2) * s.element + 20);
  if (s.element != 4) bytes += s.tokens * s.width * 4;  // the router reads f32
  if (exchanged) bytes += s.rows * 8;
  if (m.shared_expert_intermediate_size > 0) {
    bytes += dense_bytes(m, s, m.shared_expert_intermediate_size);
    if (m.shared_expert_gate) bytes += s.tokens * (s.width + 1) * s.element;
  }
  return bytes;
}

std::int64_t layer_bytes(const ModelConfig& m, const Sizes& s, std::int64_t layer, bool exchanged) {
  // Residual sum and its normed form.
  const std::int64_t middle = s.tokens * (2 * s.width * s.element + 4);
  return attention_bytes(m, s) + middle +
         (m.is_sparse(layer) ? sparse_bytes(m, s, exchanged) : dense_bytes(m, s, m.intermediate_size));
}

/// What backward of one layer holds beside what forward saved: gradients of the widest part.
std::int64_t backward_bytes(const ModelConfig& m, const Sizes& s) {
  const std::int64_t gated = m.mlp_gated ? 2 : 1;
  const std::int64_t expert = s.rows * (s.expert_hidden * (1 + gated) + s.width) * s.element;
  const std::int64_t dense = s.tokens * m.intermediate_size * (1 + gated) * s.element;
  return 3 * s.tokens * s.width * s.element + (m.num_experts > 0 ? expert : dense);
}

}  // namespace

std::int64_t MemoryPlan::total() const {
  std::int64_t sum = 0;
  for (const std::int64_t value : bytes) sum += value;
  return sum;
}

MemoryPlan plan_memory(const RunConfig& config, const mesh::MeshLayout& layout) {
  const bool narrow = config.runtime.compute_dtype == "bf16";
  MemoryPlan plan;
  Model model(config.model);
  model.for_each_parameter([&](nn::Parameter& parameter) {
    const Slice slice = layout.slice(parameter.name(), parameter.spec().shape,
                                     parameter.spec().placement, 0);
    const std::int64_t elements = slice.numel();
    const bool copied = narrow && nn::compute_dtype_of(parameter.kind(), DType::BF16) == DType::BF16;
    plan[MemoryCategory::Parameters] += elements * (copied ? 6 : 4);
    plan[MemoryCategory::Gradients] += (elements + 15) / 16 * 16 * 4;
    plan[MemoryCategory::Optimizer] +=
        elements * optim::state_bytes_per_element(config.optimizer);
  });
  const Sizes sizes = sizes_of(config, narrow ? 2 : 4);
  const bool exchanged = layout.degrees().expert > 1;
  std::int64_t kept = 0;
  std::int64_t widest = 0;
  for (std::int64_t layer = 0; layer < config.model.num_hidden_layers; ++layer) {
    const std::int64_t bytes = layer_bytes(config.model, sizes, layer, exchanged);
    widest = std::max(widest, bytes);
    kept += config.training.recompute ? sizes.tokens * sizes.width * sizes.element : bytes;
  }
  if (config.training.recompute) kept += widest;
  plan[MemoryCategory::Activations] =
      kept + 3 * sizes.tokens * sizes.width * sizes.element + backward_bytes(config.model, sizes);
  if (exchanged) {
    plan[MemoryCategory::Exchange] =
        2 * sizes.rows * (sizes.width * sizes.element + 4) * config.model.sparse_layer_count();
  }
  const std::int64_t chunk = std::int64_t{1} << 21;
  plan[MemoryCategory::Workspace] = chunk * (narrow ? 6 : 4);
  return plan;
}

}  // namespace moe::run
