#include "growth/densify.h"

#include "base/format.h"
#include "growth/computed_source.h"
#include "growth/expert_scale.h"
#include "growth/refuse.h"
#include "growth/slices.h"
#include "growth/weighted_mean.h"
#include "tensor/convert.h"

namespace moe::growth {

void DensifyConfig::fields(config::Fields& f) {
  f.choice("method", method, {"concatenate", "average"},
           "shards side by side and replicas averaged, or all experts averaged");
  f.optional_integer("granularity", granularity, "null",
                     "concatenate: consecutive experts that make up one dense layer; null: "
                     "intermediate_size / moe_intermediate_size",
                     {.min = 1});
  f.choice("scaling", scaling, {"exact", "root"}, "the scaling of sparsify to undo");
}

namespace {

/// What one layer's replicas are, and how they are scaled.
struct Replicas {
  std::shared_ptr<const checkpoint::TensorSource> source;
  std::int64_t layer = 0;
  std::int64_t halves = 2;
  std::int64_t width = 0;        ///< D
  std::int64_t hidden = 0;       ///< F of the dense layer
  std::int64_t experts = 0;
  std::int64_t granularity = 1;  ///< shards of a replica
  ExpertScale scale;
  std::int64_t shared = 0;       ///< replicas within the shared expert
  double shared_scale = 1.0;     ///< of their down projections

  std::int64_t routed() const { return experts / granularity; }
  std::int64_t shard() const { return hidden / granularity; }
  double routed_weight() const {
    return (shared > 0 ? 0.5 : 1.0) / static_cast<double>(routed());
  }
  double shared_weight() const { return 0.5 / static_cast<double>(shared); }
};

using Values = std::vector<double>;

/// Elements [begin, begin + count) of a tensor, divided by `scale`.
void read_run(const Replicas& r, const std::string& name, std::int64_t begin, std::int64_t count,
              double scale, double* values) {
  Slice slice = whole(r.source->info(name).shape);
  slice.flat_begin = begin;
  slice.flat_end = begin + count;
  r.source->read(name, slice, checkpoint::flat_view(values, DType::F64, count));
  if (scale == 1.0) return;
  for (std::int64_t i = 0; i < count; ++i) values[i] /= scale;
}

/// Cuts [begin, begin + count) at multiples of `period`: `visit(first, count)`.
template <class Visit>
void for_each_period(std::int64_t begin, std::int64_t count, std::int64_t period, Visit visit) {
  for (std::int64_t at = begin; at < begin + count;) {
    const std::int64_t stop = std::min(begin + count, (at / period + 1) * period);
    visit(at, stop - at);
    at = stop;
  }
}

/// [halves, F, D] of routed replica `replica`: element g is row f of its half, in shard f / shard().
void read_rows(const Replicas& r, std::int64_t replica, std::int64_t begin, std::int64_t count,
               double* values) {
  const std::string name = sparse_name(r.layer, "experts.gate_up");
  const std::int64_t per_shard = r.shard() * r.width;
  for_each_period(begin, count, per_shard, [&](std::int64_t at, std::int64_t length) {
    const std::int64_t half = at / (r.hidden * r.width);
    const std::int64_t in_half = at % (r.hidden * r.width);
    const std::int64_t expert = replica * r.granularity + in_half / per_shard;
    const double scale = half == r.halves - 1 ? r.scale.up : r.scale.gate;
    read_run(r, name, (expert * r.halves + half) * per_shard + in_half % per_shard, length, scale,
             values + (at - begin));
  });
}

/// [D, F] of routed replica `replica`: column f is in shard f / shard().
void read_columns(const Replicas& r, std::int64_t replica, std::int64_t begin, std::int64_t count,
                  double* values) {
  const std::string name = sparse_name(r.layer, "experts.down");
  if (r.granularity == 1) {
    return read_run(r, name, replica * r.width * r.hidden + begin, count, r.scale.down, values);
  }
  for_each_period(begin, count, r.shard(), [&](std::int64_t at, std::int64_t length) {
    const std::int64_t row = at / r.hidden;
    const std::int64_t column = at % r.hidden;
    const std::int64_t expert = replica * r.granularity + column / r.shard();
    read_run(r, name, (expert * r.width + row) * r.shard() + column % r.shard(), length,
             r.scale.down, values + (at - begin));
  });
}

/// Copy `copy` within the shared expert: [halves, copies F, D] and [D, copies F], whose elements
/// repeat with period F D and F.
void read_shared(const Replicas& r, const char* part, std::int64_t period, std::int64_t copy,
                 double scale, std::int64_t begin, std::int64_t count, double* values) {
  const std::string name = sparse_name(r.layer, part);
  for_each_period(begin, count, period, [&](std::int64_t at, std::int64_t length) {
    const std::int64_t first = (at / period * r.shared + copy) * period + at % period;
    read_run(r, name, first, length, scale, values + (at - begin));
  });
}

/// The mean over routed and shared replicas, run by run.
template <class Routed, class Shared>
void fill_mean(const Replicas& r, const Slice& slice, const View& out, Routed routed,
               Shared shared) {
  for_each_chunk(slice, kChunkElements, [&](const Slice& part, std::int64_t offset) {
    WeightedMean mean;
    Values values(static_cast<std::size_t>(part.numel()));
    const auto add = [&](double weight, const auto& read) {
      for_each_run(part, [&](std::int64_t global, std::int64_t box, std::int64_t count) {
        read(global, count, values.data() + (box - part.flat_begin));
      });
      mean.add(weight, values);
    };
    for (std::int64_t replica = 0; replica < r.routed(); ++replica) {
      add(r.routed_weight(), [&](auto begin, auto count, double* to) {
        routed(replica, begin, count, to);
      });
    }
    for (std::int64_t copy = 0; copy < r.shared; ++copy) {
      add(r.shared_weight(),
          [&](auto begin, auto count, double* to) { shared(copy, begin, count, to); });
    }
    const Values result = mean.take();
    convert_elements(checkpoint::flat_view(result.data(), DType::F64, part.numel()),
                     checkpoint::flat_part(out, offset, part.numel()));
  });
}

ComputedSource::Fill dense_rows(const Replicas& r) {
  return [r](const Slice& slice, const View& out) {
    fill_mean(
        r, slice, out,
        [&](std::int64_t replica, std::int64_t begin, std::int64_t count, double* values) {
          read_rows(r, replica, begin, count, values);
        },
        [&](std::int64_t copy, std::int64_t begin, std::int64_t count, double* values) {
          read_shared(r, "shared.gate_up", r.hidden * r.width, copy, 1.0, begin, count, values);
        });
  };
}

ComputedSource::Fill dense_columns(const Replicas& r) {
  return [r](const Slice& slice, const View& out) {
    fill_mean(
        r, slice, out,
        [&](std::int64_t replica, std::int64_t begin, std::int64_t count, double* values) {
          read_columns(r, replica, begin, count, values);
        },
        [&](std::int64_t copy, std::int64_t begin, std::int64_t count, double* values) {
          read_shared(r, "shared.down", r.hidden, copy, r.shared_scale, begin, count, values);
        });
  };
}

/// The fields that only an MoE uses are as a config has them that never heard of experts.
void forget_experts(ModelConfig& config) {
  const ModelConfig fresh;
  config.num_experts = 0;
  config.num_experts_per_tok = fresh.num_experts_per_tok;
  config.norm_topk_prob = fresh.norm_topk_prob;
  config.moe_intermediate_size.reset();
  config.shared_expert_intermediate_size = 0;
  config.shared_expert_gate = false;
  config.sparse_layers = fresh.sparse_layers;
  config.decoder_sparse_step = fresh.decoder_sparse_step;
  config.first_k_dense_replace = fresh.first_k_dense_replace;
  config.mlp_only_layers.clear();
  config.sparse_layer_list.clear();
}

class Densify : public Stage {
 public:
  explicit Densify(DensifyConfig options) : options_(std::move(options)) {}

  std::string method() const override { return options_.method; }

  ModelConfig grow(const ModelConfig& source) const override {
    if (source.num_experts == 0) {
      refuse_option("densify", "the source is dense already", "leave the stage out");
    }
    ModelConfig config = source;
    config.intermediate_size = source.expert_width() * granularity(source);
    require_widths(source, config.intermediate_size);
    forget_experts(config);
    return config;
  }

  bool keeps_function(const ModelConfig& source) const override {
    (void)grow(source);
    return false;  // it depends on the weights
  }

  std::shared_ptr<const checkpoint::TensorSource> apply(const ModelSource& source,
                                                        const StageContext&) const override {
    const ModelConfig dense = grow(source.config);
    auto result = std::make_shared<ComputedSource>(
        format("{} (densify)", source.weights->description()), source.weights);
    for (std::int64_t layer = 0; layer < dense.num_hidden_layers; ++layer) {
      if (source.config.is_sparse(layer)) add_layer(*result, source, dense, layer);
    }
    result->keep_others(dense);
    return result;
  }

 private:
  std::int64_t granularity(const ModelConfig& source) const {
    if (options_.method == "average") {
      if (options_.granularity.value_or(1) == 1) return 1;
      refuse_option("densify.granularity",
                    format("method average takes every expert for a whole, got {}",
                           *options_.granularity),
                    "leave it out, or method: concatenate");
    }
    const std::int64_t width = source.expert_width();
    const bool known = source.intermediate_size % width == 0 &&
                       source.num_experts % (source.intermediate_size / width) == 0;
    const std::int64_t given =
        options_.granularity.value_or(known ? source.intermediate_size / width : 1);
    if (source.num_experts % given != 0) {
      refuse_option("densify.granularity",
                    format("must divide the source's num_experts ({}), got {}",
                           source.num_experts, given),
                    common_divisors({source.num_experts}));
    }
    return given;
  }

  void require_widths(const ModelConfig& source, std::int64_t hidden) const {
    const bool mixed = source.sparse_layer_count() < source.num_hidden_layers;
    if (mixed && source.intermediate_size != hidden) {
      refuse_option("densify.granularity",
                    format("its dense layers are {} wide, those made of experts would be {}, and a "
                           "config has one intermediate_size",
                           source.intermediate_size, hidden),
                    source.intermediate_size % source.expert_width() == 0
                        ? format("granularity {} with method: concatenate",
                                 source.intermediate_size / source.expert_width())
                        : "");
    }
    if (source.shared_expert_intermediate_size % hidden != 0) {
      refuse_option("densify.granularity",
                    format("the shared expert's width ({}) must be a multiple of the dense layer's "
                           "({})",
                           source.shared_expert_intermediate_size, hidden),
                    "");
    }
  }

  void add_layer(ComputedSource& result, const ModelSource& source, const ModelConfig& dense,
                 std::int64_t layer) const {
    const ModelConfig& sparse = source.config;
    const std::int64_t shards = granularity(sparse);
    const std::int64_t shared = sparse.shared_expert_intermediate_size / dense.intermediate_size;
    const double gate = sparse.shared_expert_gate ? 0.5 : 1.0;
    const Replicas replicas{
        .source = source.weights,
        .layer = layer,
        .halves = dense.mlp_gated ? 2 : 1,
        .width = dense.hidden_size,
        .hidden = dense.intermediate_size,
        .experts = sparse.num_experts,
        .granularity = shards,
        .scale = expert_scale(options_.scaling, output_scale(sparse, shards),
                              shared > 0 ? 0.5 : 1.0, sparse),
        .shared = shared,
        .shared_scale = shared > 0 ? 0.5 / (static_cast<double>(shared) * gate) : 1.0};
    result.add(dense_name(layer, "gate_up"), {replicas.halves, replicas.hidden, replicas.width},
               source.weights->info(sparse_name(layer, "experts.gate_up")).dtype,
               ParameterKind::Mlp, dense_rows(replicas));
    result.add(dense_name(layer, "down"), {replicas.width, replicas.hidden},
               source.weights->info(sparse_name(layer, "experts.down")).dtype, ParameterKind::Mlp,
               dense_columns(replicas));
  }

  DensifyConfig options_;
};

class DensifyOptions : public StageOptions {
 public:
  void fields(config::Fields& f) override { config_.fields(f); }
  std::unique_ptr<Stage> make() const override { return make_densify(config_); }

 private:
  DensifyConfig config_;
};

}  // namespace

std::unique_ptr<Stage> make_densify(const DensifyConfig& config) {
  return std::make_unique<Densify>(config);
}

std::unique_ptr<StageOptions> densify_options() { return std::make_unique<DensifyOptions>(); }

}  // namespace moe::growth
