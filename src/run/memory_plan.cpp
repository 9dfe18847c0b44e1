#include "run/memory_plan.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "checkpoint/writer.h"
#include "data/loader.h"
#include "growth/parameter_name.h"
#include "model/model.h"
#include "ops/linear_cross_entropy.h"
#include "parallel/grad_reducer.h"
#include "parallel/gradient_buckets.h"

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
  std::int64_t readers = 1;
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
  // The activated rows are formed again in backward.
  return s.tokens * hidden * (m.mlp_gated ? 2 : 1) * s.element;
}

std::int64_t sparse_bytes(const ModelConfig& m, const Sizes& s, bool exchanged) {
  std::int64_t bytes = s.tokens * (s.experts * 4 + 4 + s.choices * 20) +
                       s.rows * (s.expert_hidden * (m.mlp_gated ? 2 : 1) * s.element + 20);
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

/// What backward of a layer holds beside what forward saved: activated rows and their gradient (that of their inputs
/// takes the inputs' place), gradients of the block's rows.
std::int64_t backward_bytes(const ModelConfig& m, const Sizes& s, std::int64_t layer) {
  const std::int64_t expert = s.rows * (2 * s.expert_hidden + s.width) * s.element;
  const std::int64_t dense = s.tokens * 2 * m.intermediate_size * s.element;
  return m.is_sparse(layer) ? expert : dense;
}

/// When backward takes memory for gradients: by buckets, at a bucket's first write.
class GradientTimeline {
 public:
  /// `parameters` in the order of their declaration.
  struct Entry {
    std::optional<std::int64_t> layer;
    bool expert = false;
    bool head = false;  ///< written by the head's backward
    std::int64_t bytes = 0;
  };

  GradientTimeline(const std::vector<Entry>& parameters, bool experts_apart) {
    cut_buckets(parameters, experts_apart);
    for (std::size_t i = parameters.size(); i-- > 0;) {
      if (parameters[i].head) touch(i);
    }
    head_ = taken_;
    for (std::size_t i = parameters.size(); i-- > 0;) {
      touch(i);
      if (const auto layer = parameters[i].layer) {
        begun_.try_emplace(*layer, taken_);
        ended_[*layer] = taken_;
      }
    }
  }

  std::int64_t at_head() const { return head_; }
  std::int64_t when_begun(std::int64_t layer) const { return begun_.at(layer); }
  std::int64_t when_ended(std::int64_t layer) const { return ended_.at(layer); }
  std::int64_t total() const { return taken_; }

 private:
  void cut_buckets(const std::vector<Entry>& parameters, bool experts_apart) {
    std::vector<parallel::GradientWindow> windows;
    for (const Entry& entry : parameters) windows.push_back({experts_apart && entry.expert, entry.bytes});
    bucket_of_ = parallel::cut_into_buckets(windows, parallel::ReducerOptions{}.bucket_bytes);
    for (std::size_t i = 0; i < windows.size(); ++i) {
      buckets_.resize(std::max(buckets_.size(), bucket_of_[i] + 1));
      buckets_[bucket_of_[i]] += windows[i].bytes;
    }
  }

  void touch(std::size_t parameter) {
    taken_ += std::exchange(buckets_[bucket_of_[parameter]], 0);
  }

  std::vector<std::size_t> bucket_of_;
  std::vector<std::int64_t> buckets_;  // bytes; 0 once taken
  std::int64_t taken_ = 0;
  std::int64_t head_ = 0;
  std::map<std::int64_t, std::int64_t> begun_;
  std::map<std::int64_t, std::int64_t> ended_;
};

/// Fills in parameters, gradients and moments; returns when the gradients come.
GradientTimeline plan_parameters(const RunConfig& config, const mesh::MeshLayout& layout,
                                 MemoryPlan& plan) {
  const bool narrow = config.runtime.compute_dtype == "bf16";
  std::vector<GradientTimeline::Entry> entries;
  Model model(config.model);
  model.for_each_parameter([&](nn::Parameter& parameter) {
    const Slice slice = layout.slice(parameter.name(), parameter.spec().shape,
                                     parameter.spec().placement, 0);
    const std::int64_t elements = slice.numel();
    const bool copied = narrow && nn::compute_dtype_of(parameter.kind(), DType::BF16) == DType::BF16;
    plan[MemoryCategory::Parameters] += elements * (copied ? 6 : 4);
    plan[MemoryCategory::Optimizer] += elements * optim::state_bytes_per_element(config.optimizer);
    const auto layer = growth::ParameterName::parse(parameter.name()).layer;
    const bool embedding = parameter.kind() == ParameterKind::Embedding;
    entries.push_back({.layer = layer,
                       .expert = parameter.kind() == ParameterKind::Expert,
                       .head = !layer && (!embedding || config.model.tie_word_embeddings),
                       .bytes = parallel::padded_elements(elements) * size_of(DType::F32)});
  });
  GradientTimeline gradients(entries, layout.degrees().expert > 1);
  plan[MemoryCategory::Gradients] = gradients.total();
  return gradients;
}

/// What forward leaves behind for backward, layer by layer.
std::vector<std::int64_t> kept_by_layer(const RunConfig& config, const Sizes& sizes, bool exchanged) {
  std::vector<std::int64_t> kept;
  for (std::int64_t layer = 0; layer < config.model.num_hidden_layers; ++layer) {
    kept.push_back(config.training.recompute ? sizes.tokens * sizes.width * sizes.element
                                             : layer_bytes(config.model, sizes, layer, exchanged));
  }
  return kept;
}

/// The most that activations and gradients take together, and activations alone: at the head, where everything is
/// saved, or in some layer's backward, where gradients have come and activations gone.
struct StepPeak {
  std::int64_t activations = 0;
  std::int64_t together = 0;

  void see(std::int64_t active, std::int64_t gradients, std::int64_t others = 0) {
    activations = std::max(activations, active);
    together = std::max(together, active + gradients + others);
  }
};

StepPeak step_peak(const RunConfig& config, const Sizes& sizes, const GradientTimeline& gradients,
                   bool exchanged, std::int64_t workspace) {
  const ModelConfig& m = config.model;
  const data::BatchLayout batches{.global_batch = config.training.global_batch_size,
                                  .micro_batch = config.training.micro_batch_size,
                                  .readers = sizes.readers};
  // A step of several micro-batches has all gradients before its last backward begins.
  const bool accumulates = batches.micro_batches() > 1;
  const auto held = [&](std::int64_t bytes) { return accumulates ? gradients.total() : bytes; };
  const std::vector<std::int64_t> kept = kept_by_layer(config, sizes, exchanged);
  const std::int64_t residual = 3 * sizes.tokens * sizes.width * sizes.element;
  std::int64_t saved = std::accumulate(kept.begin(), kept.end(), residual);
  StepPeak peak;
  peak.see(saved, held(gradients.at_head()), workspace);
  for (std::int64_t layer = m.num_hidden_layers - 1; layer >= 0; --layer) {
    const std::int64_t again =
        config.training.recompute ? layer_bytes(m, sizes, layer, exchanged) : 0;
    peak.see(saved + again + backward_bytes(m, sizes, layer), held(gradients.when_begun(layer)));
    saved -= kept[static_cast<std::size_t>(layer)];
    peak.see(saved, held(gradients.when_ended(layer)));
  }
  peak.see(residual, gradients.total());
  return peak;
}

/// Code, libraries and stacks of a rank, measured.
constexpr std::int64_t kProgram = std::int64_t{40} << 20;
/// Gaps between blocks, measured: 1 to 3 %.
constexpr std::int64_t kGapShare = 50;

}  // namespace

std::int64_t MemoryPlan::resident() const {
  return total + total / kGapShare + shard_file + kProgram;
}

MemoryPlan plan_memory(const RunConfig& config, const mesh::MeshLayout& layout) {
  const bool narrow = config.runtime.compute_dtype == "bf16";
  MemoryPlan plan;
  const GradientTimeline gradients = plan_parameters(config, layout, plan);
  Sizes sizes = sizes_of(config, narrow ? 2 : 4);
  sizes.readers = layout.degrees().data();
  const bool exchanged = layout.degrees().expert > 1;
  plan[MemoryCategory::Workspace] = ops::head_chunk_rows(config.model.vocab_size, sizes.tokens) *
                                    config.model.vocab_size * (narrow ? 6 : 4);
  const StepPeak peak =
      step_peak(config, sizes, gradients, exchanged, plan[MemoryCategory::Workspace]);
  plan[MemoryCategory::Activations] = peak.activations;
  if (exchanged) {
    plan[MemoryCategory::Exchange] =
        2 * sizes.rows * (sizes.width * sizes.element + 4) * config.model.sparse_layer_count();
  }
  const std::int64_t state = gradients.total() + plan[MemoryCategory::Optimizer];
  plan.shard_file = std::min(state, checkpoint::shard_payload(state / sizes.readers));
  plan.total = plan[MemoryCategory::Parameters] + plan[MemoryCategory::Optimizer] +
               plan[MemoryCategory::Exchange] + peak.together;
  return plan;
}

}  // namespace moe::run
