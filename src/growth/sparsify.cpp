#include "growth/sparsify.h"

#include "base/format.h"
#include "base/random.h"
#include "growth/drop_experts.h"
#include "growth/granular_experts.h"
#include "growth/keyed_draws.h"
#include "growth/shared_expert.h"
#include "growth/slices.h"
#include "growth/sparse_config.h"
#include "tensor/convert.h"

namespace moe::growth {

void SparsifyConfig::fields(config::Fields& f) {
  f.choice("method", method, {"copy", "granular", "drop"},
           "whole copies, shards of copies, or permuted copies with neurons drawn anew");
  f.integer("num_experts", num_experts, "experts of a layer; granular: small ones", {.min = 1});
  f.integer("num_experts_per_tok", num_experts_per_tok, "experts a token uses; the same",
            {.min = 1});
  f.boolean("norm_topk_prob", norm_topk_prob,
            "renormalise the chosen experts' weights; false scales the experts instead");
  f.optional_integer("granularity", granularity, "null",
                     "granular: experts that make up one copy of the dense layer", {.min = 1});
  f.choice("scaling", scaling, {"exact", "root"},
           "how granular experts are scaled: keeping the function, or as published");
  f.optional_integer("shared_experts", shared_experts, "null",
                     "experts every token uses, as wide as the dense layer; null: 1 where the "
                     "architecture has one (Qwen2-MoE), else 0",
                     {.min = 0});
  f.number("router_std", router_std, "standard deviation of the router's rows", {.min = 0});
  f.number("noise_std", noise_std, "standard deviation of noise added to the routed experts",
           {.min = 0});
  f.number("ratio", ratio, "drop: share of each expert's neurons that is drawn anew",
           {.min = 0, .max = 1});
  f.choice("index", index, {"shared", "independent"},
           "drop: one set of neurons for gate, up and down, or one for each");
  f.choice("layers", layers, {"all", "step", "after_dense", "list"}, "which layers become sparse");
  f.integer("decoder_sparse_step", decoder_sparse_step,
            "layers step: layer i becomes sparse when (i + 1) is a multiple", {.min = 1});
  f.integer("first_k_dense_replace", first_k_dense_replace,
            "layers after_dense: dense layers before the sparse ones", {.min = 0});
  f.integers("sparse_layer_list", sparse_layer_list, "layers list: the layers that become sparse",
             {.min = 0});
  f.integers("mlp_only_layers", mlp_only_layers, "layers that stay dense", {.min = 0});
}

namespace {

using Fill = ComputedSource::Fill;

/// Of the layer's output, where there are shared experts.
constexpr double kSharedPart = 0.5;

/// Adds Normal(0, deviation^2) to every element; T is the type of the arithmetic.
template <class T>
Fill noisy(Fill fill, double deviation, const Random& random) {
  return [=](const Slice& slice, const View& out) {
    std::vector<T> values;
    std::vector<float> drawn;
    const KeyedDraws draws(random);
    for_each_chunk(slice, kChunkElements, [&](const Slice& part, std::int64_t offset) {
      const View target = checkpoint::flat_part(out, offset, part.numel());
      fill(part, target);
      values.resize(static_cast<std::size_t>(part.numel()));
      const View scratch = checkpoint::flat_view(values.data(), dtype_of<T>, part.numel());
      convert_elements(target, scratch);
      for_each_run(part, [&](std::int64_t global, std::int64_t box, std::int64_t count) {
        T* value = values.data() + (box - part.flat_begin);
        drawn.resize(static_cast<std::size_t>(count));
        draws.normals(static_cast<std::uint64_t>(global), drawn);
        const T scale = static_cast<T>(deviation);
        for (std::int64_t i = 0; i < count; ++i) {
          value[i] += scale * static_cast<T>(drawn[static_cast<std::size_t>(i)]);
        }
      });
      convert_elements(scratch, target);
    });
  };
}

Fill with_noise(Fill fill, double deviation, const Random& random, DType dtype) {
  if (deviation == 0) return fill;
  return dtype == DType::F64 ? noisy<double>(std::move(fill), deviation, random)
                             : noisy<float>(std::move(fill), deviation, random);
}

/// Row e is the row of replica e / granularity.
Fill router_rows(double deviation, std::int64_t granularity, const Random& random) {
  return [=](const Slice& slice, const View& out) {
    std::vector<double> values(static_cast<std::size_t>(slice.numel()));
    const std::int64_t width = slice.global[1];
    KeyedDraws draws(random);
    for_each_run(slice, [&](std::int64_t global, std::int64_t box, std::int64_t count) {
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t row = (global + i) / width / granularity;
        const std::int64_t index = row * width + (global + i) % width;
        values[static_cast<std::size_t>(box - slice.flat_begin + i)] =
            deviation * static_cast<double>(draws.normal(static_cast<std::uint64_t>(index)));
      }
    });
    convert_elements(checkpoint::flat_view(values.data(), DType::F64, slice.numel()), out);
  };
}

class Sparsify : public Stage {
 public:
  explicit Sparsify(SparsifyConfig options) : options_(std::move(options)) {}

  std::string method() const override { return options_.method; }

  /// Neurons drawn anew have no moments, and their statistics are of weights.
  bool carries_moments() const override { return options_.method != "drop"; }

  ModelConfig grow(const ModelConfig& source) const override {
    return sparse_config(options_, source);
  }

  bool keeps_function(const ModelConfig& source) const override {
    const ModelConfig sparse = grow(source);
    if (options_.noise_std != 0) return false;
    if (!sparse.norm_topk_prob && options_.router_std != 0) return false;
    if (is_drop(source.intermediate_size)) return false;
    return options_.scaling == "exact" ||
           root_scale_is_exact(output_scale(sparse, granularity()), source);
  }

  std::shared_ptr<const checkpoint::TensorSource> apply(
      const ModelSource& source, const StageContext& context) const override {
    const ModelConfig sparse = grow(source.config);
    auto result = std::make_shared<ComputedSource>(
        format("{} (sparsify)", source.weights->description()), source.weights);
    for (std::int64_t layer = 0; layer < sparse.num_hidden_layers; ++layer) {
      if (!sparse.is_sparse(layer)) continue;
      const DenseLayer dense = dense_layer(source.weights, source.config, layer);
      add_experts(*result, sparse, dense, context);
      add_shared(*result, sparse, dense, context);
    }
    result->keep_others(sparse);
    return result;
  }

 private:
  std::int64_t granularity() const { return options_.granularity.value_or(1); }

  /// Of no neurons at all, dropping is copying: nothing is permuted either.
  bool is_drop(std::int64_t hidden) const {
    return options_.method == "drop" && dropped_neurons(options_.ratio, hidden) > 0;
  }

  ExpertFill experts(const ModelConfig& sparse, const DenseLayer& dense,
                     const StageContext& context) const {
    const double routed_part =
        sparse.shared_expert_intermediate_size > 0 ? 1.0 - kSharedPart : 1.0;
    const ExpertScale scale = context.moments_of != nullptr
                                  ? ExpertScale{}
                                  : expert_scale(options_.scaling,
                                                 output_scale(sparse, granularity()), routed_part,
                                                 sparse);
    if (!is_drop(dense.hidden)) return granular_experts(dense, granularity(), scale);
    return drop_experts(dense, {.ratio = options_.ratio,
                                .independent = options_.index == "independent",
                                .seed = context.seed,
                                .stage = context.index,
                                .scale = scale});
  }

  void add_experts(ComputedSource& result, const ModelConfig& sparse, const DenseLayer& dense,
                   const StageContext& context) const {
    const std::string gate_up = sparse_name(dense.layer, "experts.gate_up");
    const std::string down = sparse_name(dense.layer, "experts.down");
    const std::string router = sparse_name(dense.layer, "router");
    const DType dtype = dense.source->info(dense.gate_up).dtype;
    const DType down_dtype = dense.source->info(dense.down).dtype;
    const auto stream = [&](const std::string& name) {
      return Random(context.seed, format("{}/{}", context.index, name));
    };
    const ExpertFill fill = experts(sparse, dense, context);
    const bool moments = context.moments_of != nullptr;
    const double noise = moments ? 0.0 : options_.noise_std;
    const double router_std = moments ? 0.0 : options_.router_std;
    result.add(gate_up, {sparse.num_experts, dense.halves, sparse.expert_width(), dense.width},
               dtype, ParameterKind::Expert,
               with_noise(fill.gate_up, noise, stream(gate_up), dtype));
    result.add(down, {sparse.num_experts, dense.width, sparse.expert_width()}, down_dtype,
               ParameterKind::Expert,
               with_noise(fill.down, noise, stream(down), down_dtype));
    result.add(router, {sparse.num_experts, dense.width}, dtype, ParameterKind::Router,
               router_rows(router_std, granularity(), stream(router)));
  }

  void add_shared(ComputedSource& result, const ModelConfig& sparse, const DenseLayer& dense,
                  const StageContext& context) const {
    const std::int64_t wide = sparse.shared_expert_intermediate_size;
    if (wide == 0) return;
    const std::int64_t copies = wide / dense.hidden;
    const double gate = sparse.shared_expert_gate ? 0.5 : 1.0;
    const double factor = context.moments_of != nullptr
                              ? 1.0
                              : kSharedPart / (static_cast<double>(copies) * gate);
    const ExpertFill fill = shared_expert(dense, copies, factor);
    const DType dtype = dense.source->info(dense.gate_up).dtype;
    result.add(sparse_name(dense.layer, "shared.gate_up"), {dense.halves, wide, dense.width},
               dtype, ParameterKind::Mlp, fill.gate_up);
    result.add(sparse_name(dense.layer, "shared.down"), {dense.width, wide},
               dense.source->info(dense.down).dtype, ParameterKind::Mlp, fill.down);
    if (!sparse.shared_expert_gate) return;
    result.add(sparse_name(dense.layer, "shared_gate"), {1, dense.width}, dtype,
               ParameterKind::Mlp,
               [](const Slice&, const View& out) { fill_elements(out, 0.0); });
  }

  SparsifyConfig options_;
};

class SparsifyOptions : public StageOptions {
 public:
  void fields(config::Fields& f) override { config_.fields(f); }
  std::unique_ptr<Stage> make() const override { return make_sparsify(config_); }

 private:
  SparsifyConfig config_;
};

}  // namespace

std::unique_ptr<Stage> make_sparsify(const SparsifyConfig& config) {
  return std::make_unique<Sparsify>(config);
}

std::unique_ptr<StageOptions> sparsify_options() { return std::make_unique<SparsifyOptions>(); }

}  // namespace moe::growth
