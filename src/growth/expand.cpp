#include "growth/expand.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>

#include "base/format.h"
#include "base/random.h"
#include "growth/calibration.h"
#include "growth/computed_source.h"
#include "growth/keyed_draws.h"
#include "growth/refuse.h"
#include "growth/slices.h"
#include "tensor/convert.h"

namespace moe::growth {

void ExpandConfig::fields(config::Fields& f) {
  f.choice("method", method, {"uniform", "utility"},
           "every expert as many copies, or more of those that do more");
  f.integer("num_experts", num_experts, "experts of a layer afterwards", {.min = 1});
  f.optional_integer("num_experts_per_tok", num_experts_per_tok, "null",
                     "experts a token uses afterwards; null: as before. Growing it by the same "
                     "factor keeps the function",
                     {.min = 1});
  f.integer("granularity", granularity,
            "consecutive experts that are copied as one: the granularity of sparsify", {.min = 1});
  f.number("expert_noise", expert_noise,
           "relative difference of two copies' down projections; it cancels in their sum",
           {.min = 0, .max = 1});
  f.optional_number("router_noise", router_noise, "null",
                    "half width of the noise on copies' router rows; null: 0 where growth is "
                    "exact, else 0.001",
                    {.min = 0});
  f.section("calibration", "text that utility is measured on",
            [this](config::Fields& inner) { calibration.fields(inner); });
}

std::vector<std::int64_t> uniform_replicas(std::int64_t families, std::int64_t total) {
  std::vector<std::int64_t> replicas(static_cast<std::size_t>(families), total / families);
  for (std::int64_t i = 0; i < total % families; ++i) ++replicas[static_cast<std::size_t>(i)];
  return replicas;
}

std::vector<std::int64_t> utility_replicas(const std::vector<double>& utility,
                                           std::int64_t total) {
  const auto families = static_cast<std::int64_t>(utility.size());
  const std::int64_t most = std::max<std::int64_t>(3, (total + families - 1) / families);
  std::vector<std::int64_t> replicas(utility.size(), 1);
  const auto share = [&](std::size_t e) {
    return utility[e] / static_cast<double>(replicas[e]);
  };
  for (std::int64_t left = total - families; left > 0; --left) {
    std::size_t best = utility.size();
    for (std::size_t e = 0; e < utility.size(); ++e) {
      if (replicas[e] >= most) continue;
      // Among equals (experts that no token reached) the one with fewer copies.
      const bool better = best == utility.size() || share(e) > share(best) ||
                          (share(e) == share(best) && replicas[e] < replicas[best]);
      if (better) best = e;
    }
    ++replicas[best];
  }
  return replicas;
}

namespace {

/// Where expert e of the result comes from.
struct Copy {
  std::int64_t origin = 0;
  std::int64_t number = 0;  ///< 0: the first
  std::int64_t count = 1;   ///< copies of this origin
};

std::vector<Copy> copies_of(const std::vector<std::int64_t>& replicas, std::int64_t granularity) {
  std::vector<Copy> copies;
  for (std::size_t family = 0; family < replicas.size(); ++family) {
    for (std::int64_t number = 0; number < replicas[family]; ++number) {
      for (std::int64_t s = 0; s < granularity; ++s) {
        copies.push_back({static_cast<std::int64_t>(family) * granularity + s, number,
                          replicas[family]});
      }
    }
  }
  return copies;
}

using Fill = ComputedSource::Fill;
using Source = std::shared_ptr<const checkpoint::TensorSource>;
using Copies = std::shared_ptr<const std::vector<Copy>>;
/// Changes a copy's values, which are consecutive ones of the origin's tensor of experts from `global` on.
using Change =
    std::function<void(const Copy& copy, std::int64_t global, std::span<double> values)>;

void apply_change(const Copy& copy, const Slice& origin, const Change& change, const View& out) {
  std::vector<double> values(static_cast<std::size_t>(out.numel()));
  const View scratch = checkpoint::flat_view(values.data(), DType::F64, out.numel());
  convert_elements(out, scratch);
  for_each_run(origin, [&](std::int64_t global, std::int64_t box, std::int64_t count) {
    change(copy, global,
           std::span(values).subspan(static_cast<std::size_t>(box - origin.flat_begin),
                                     static_cast<std::size_t>(count)));
  });
  convert_elements(scratch, out);
}

Fill copied(const Source& source, const std::string& name, const Copies& copies,
            const Change& change = {}) {
  return [=](const Slice& slice, const View& out) {
    const std::int64_t experts = source->info(name).shape[0];
    for (const SlicePart& part : parts_of(slice, 1)) {
      const Copy& copy = (*copies)[static_cast<std::size_t>(part.index[0])];
      const Slice origin = at_index(part.inner, copy.origin, experts);
      source->read(name, origin, checkpoint::flat_part(out, part.offset, part.inner.numel()));
      if (!change || copy.count == 1) continue;
      for_each_chunk(origin, kChunkElements, [&](const Slice& chunk, std::int64_t offset) {
        apply_change(copy, chunk, change,
                     checkpoint::flat_part(out, part.offset + offset, chunk.numel()));
      });
    }
  };
}

void round_to(DType dtype, std::span<double> values) {
  if (dtype == DType::F64) return;
  const auto count = static_cast<std::int64_t>(values.size());
  std::vector<std::byte> stored(values.size() * static_cast<std::size_t>(size_of(dtype)));
  const View held = checkpoint::flat_view(stored.data(), dtype, count);
  const View all = checkpoint::flat_view(values.data(), DType::F64, count);
  convert_elements(all, held);
  convert_elements(held, all);
}

/// A and A' with A + A' = 2 a to the bit: A = a (1 + u) rounded lies in [a, 2 a], so 2 a - A has no
/// rounding error (Sterbenz). u is uniform with the root mean square `size`.
Change cancelling_noise(double size, const Random& random, DType dtype) {
  return [=](const Copy& copy, std::int64_t global, std::span<double> values) {
    if ((copy.number ^ 1) >= copy.count) return;  // no partner
    const auto first = (static_cast<std::uint64_t>(copy.number / 2) << 48) |
                       static_cast<std::uint64_t>(global);
    const double reach = size * std::numbers::sqrt3;
    KeyedDraws draws(random);
    std::vector<double> signs(values.size());
    std::vector<double> larger(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      signs[i] = draws.uniform(first + i);
      larger[i] = values[i] * (1 + std::min(reach * std::abs(signs[i]), 1.0));
    }
    round_to(dtype, larger);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const bool is_larger = (signs[i] < 0) == (copy.number % 2 == 1);
      values[i] = is_larger ? larger[i] : 2 * values[i] - larger[i];
    }
  };
}

/// The same for all members of a group of `granularity` experts: their rows stay tied.
Change uniform_noise(double half_width, const Random& random, std::int64_t width,
                     std::int64_t granularity) {
  return [=](const Copy& copy, std::int64_t global, std::span<double> values) {
    if (copy.number == 0) return;
    KeyedDraws draws(random);
    for (double& value : values) {
      const std::int64_t group = global / (width * granularity);
      const auto index = (static_cast<std::uint64_t>(copy.number) << 40) |
                         static_cast<std::uint64_t>(group * width + global % width);
      value += half_width * draws.uniform(index);
      ++global;
    }
  };
}

class Expand : public Stage {
 public:
  explicit Expand(ExpandConfig options) : options_(std::move(options)) {}

  std::string method() const override { return options_.method; }
  bool carries_moments() const override { return true; }

  ModelConfig grow(const ModelConfig& source) const override {
    require(source);
    ModelConfig config = source;
    config.num_experts = options_.num_experts;
    config.num_experts_per_tok = options_.num_experts_per_tok.value_or(source.num_experts_per_tok);
    if (config.num_experts_per_tok > config.num_experts) {
      refuse_option("expand.num_experts_per_tok",
                    format("must be at most num_experts ({}), got {}", config.num_experts,
                           config.num_experts_per_tok),
                    format("1 to {}", config.num_experts));
    }
    return config;
  }

  bool keeps_function(const ModelConfig& source) const override {
    const ModelConfig config = grow(source);
    return ties_stay_together(source, config) && router_noise(source, config) == 0;
  }

  std::shared_ptr<const checkpoint::TensorSource> apply(
      const ModelSource& source, const StageContext& context) const override {
    const ModelConfig config = grow(source.config);
    std::map<std::int64_t, LayerMeasure> measures;
    const bool grows = config.num_experts > source.config.num_experts;
    if (options_.method == "utility" && grows) {
      const ModelSource& measured = context.moments_of != nullptr ? *context.moments_of : source;
      measures = calibrate(measured, calibration_tokens(options_.calibration, source.config, context));
    }
    auto result = std::make_shared<ComputedSource>(
        format("{} (expand)", source.weights->description()), source.weights);
    for (std::int64_t layer = 0; grows && layer < config.num_hidden_layers; ++layer) {
      if (!config.is_sparse(layer)) continue;
      const std::int64_t families = source.config.num_experts / options_.granularity;
      const std::int64_t total = config.num_experts / options_.granularity;
      const auto replicas = options_.method == "utility"
                                ? utility_replicas(family_utility(measures.at(layer)), total)
                                : uniform_replicas(families, total);
      add_layer(*result, source, config, layer,
                std::make_shared<const std::vector<Copy>>(
                    copies_of(replicas, options_.granularity)),
                context);
    }
    result->keep_others(config);
    return result;
  }

 private:
  void require(const ModelConfig& source) const {
    if (source.num_experts == 0) refuse_option("expand", "the source is dense", "sparsify");
    if (options_.num_experts < source.num_experts) {
      refuse_option("expand.num_experts",
                    format("must be at least the source's {}, got {}", source.num_experts,
                           options_.num_experts),
                    "merge or prune make fewer");
    }
    for (const std::int64_t experts : {source.num_experts, options_.num_experts}) {
      if (experts % options_.granularity == 0) continue;
      refuse_option("expand.granularity",
                    format("must divide the experts before ({}) and after ({}), got {}",
                           source.num_experts, options_.num_experts, options_.granularity),
                    common_divisors({source.num_experts, options_.num_experts}));
    }
  }

  /// All copies of what was chosen are chosen, and nothing else.
  bool ties_stay_together(const ModelConfig& source, const ModelConfig& config) const {
    if (config.num_experts == source.num_experts) {
      return config.num_experts_per_tok == source.num_experts_per_tok;
    }
    return options_.method == "uniform" && config.num_experts % source.num_experts == 0 &&
           config.num_experts_per_tok * source.num_experts ==
               source.num_experts_per_tok * config.num_experts;
  }

  double router_noise(const ModelConfig& source, const ModelConfig& config) const {
    constexpr double kPublished = 1e-3;
    if (config.num_experts == source.num_experts) return 0;
    return options_.router_noise.value_or(ties_stay_together(source, config) ? 0.0 : kPublished);
  }

  std::vector<double> family_utility(const LayerMeasure& measure) const {
    const auto group = static_cast<std::size_t>(options_.granularity);
    std::vector<double> utility(measure.contribution.size() / group, 0.0);
    for (std::size_t e = 0; e < measure.contribution.size(); ++e) {
      utility[e / group] += measure.contribution[e];
    }
    return utility;
  }

  void add_layer(ComputedSource& result, const ModelSource& source, const ModelConfig& config,
                 std::int64_t layer, const Copies& copies, const StageContext& context) const {
    const auto add = [&](const char* part, ParameterKind kind, double noise, auto make_change) {
      const std::string name = sparse_name(layer, part);
      const checkpoint::TensorInfo& info = source.weights->info(name);
      Shape shape = info.shape;
      shape.set(0, config.num_experts);
      const Random random(context.seed, format("{}/{}", context.index, name));
      result.add(name, shape, info.dtype, kind,
                 copied(source.weights, name, copies,
                        noise > 0 && context.moments_of == nullptr ? make_change(noise, random, info.dtype) : Change()));
    };
    const auto on_rows = [&](double noise, const Random& random, DType) {
      return uniform_noise(noise, random, config.hidden_size, options_.granularity);
    };
    add("router", ParameterKind::Router, router_noise(source.config, config), on_rows);
    add("experts.gate_up", ParameterKind::Expert, 0.0, cancelling_noise);
    add("experts.down", ParameterKind::Expert, options_.expert_noise, cancelling_noise);
  }

  ExpandConfig options_;
};

class ExpandOptions : public StageOptions {
 public:
  void fields(config::Fields& f) override { config_.fields(f); }
  std::unique_ptr<Stage> make() const override { return make_expand(config_); }

 private:
  ExpandConfig config_;
};

}  // namespace

std::unique_ptr<Stage> make_expand(const ExpandConfig& config) {
  return std::make_unique<Expand>(config);
}

std::unique_ptr<StageOptions> expand_options() { return std::make_unique<ExpandOptions>(); }

}  // namespace moe::growth
