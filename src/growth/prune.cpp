#include "growth/prune.h"

#include <algorithm>
#include <numeric>

#include "base/format.h"
#include "growth/computed_source.h"
#include "growth/fewer_experts.h"
#include "growth/slices.h"

namespace moe::growth {

void PruneConfig::fields(config::Fields& f) {
  f.choice("method", method, {"reap"}, "the measure of importance");
  f.integer("num_experts", num_experts, "experts of a layer afterwards", {.min = 1});
  f.optional_integer("num_experts_per_tok", num_experts_per_tok, "null",
                     "experts a token uses afterwards; null: as before, at most num_experts",
                     {.min = 1});
  f.section("calibration", "text that importance is measured on",
            [this](config::Fields& inner) { calibration.fields(inner); });
}

std::vector<double> reap_saliency(const LayerMeasure& measure) {
  std::vector<double> saliency(measure.saliency.size(), 0.0);
  for (std::size_t e = 0; e < saliency.size(); ++e) {
    if (measure.routed[e] > 0) saliency[e] = measure.saliency[e] / measure.routed[e];
  }
  return saliency;
}

std::vector<std::int64_t> most_salient(const std::vector<double>& saliency, std::int64_t count) {
  std::vector<std::int64_t> order(saliency.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](std::int64_t a, std::int64_t b) {
    return saliency[static_cast<std::size_t>(a)] > saliency[static_cast<std::size_t>(b)];
  });
  order.resize(static_cast<std::size_t>(count));
  std::ranges::sort(order);
  return order;
}

namespace {

class Prune : public FewerExperts {
 public:
  explicit Prune(PruneConfig options)
      : FewerExperts("prune", options.num_experts, options.num_experts_per_tok),
        options_(std::move(options)) {}

  std::string method() const override { return options_.method; }

 protected:
  void add_layers(ComputedSource& result, const ModelSource& source, const ModelConfig& config,
                  const StageContext& context) const override {
    const auto measures = calibrate(
        source, calibration_tokens(options_.calibration, source.config, context));
    for (const auto& [layer, measure] : measures) {
      const auto kept = most_salient(reap_saliency(measure), config.num_experts);
      keep(result, source, layer, "router", ParameterKind::Router, kept);
      keep(result, source, layer, "experts.gate_up", ParameterKind::Expert, kept);
      keep(result, source, layer, "experts.down", ParameterKind::Expert, kept);
    }
  }

 private:
  void keep(ComputedSource& result, const ModelSource& source, std::int64_t layer,
            const char* tensor, ParameterKind kind, const std::vector<std::int64_t>& kept) const {
    const std::string name = sparse_name(layer, tensor);
    const checkpoint::TensorInfo& info = source.weights->info(name);
    const std::int64_t experts = info.shape[0];
    Shape shape = info.shape;
    shape.set(0, std::ssize(kept));
    const auto weights = source.weights;
    result.add(name, shape, info.dtype, kind, [=](const Slice& slice, const View& out) {
      for (const SlicePart& part : parts_of(slice, 1)) {
        const std::int64_t origin = kept[static_cast<std::size_t>(part.index[0])];
        weights->read(name, at_index(part.inner, origin, experts),
                      checkpoint::flat_part(out, part.offset, part.inner.numel()));
      }
    });
  }

  PruneConfig options_;
};

class PruneOptions : public StageOptions {
 public:
  void fields(config::Fields& f) override { config_.fields(f); }
  std::unique_ptr<Stage> make() const override { return make_prune(config_); }

 private:
  PruneConfig config_;
};

}  // namespace

std::unique_ptr<Stage> make_prune(const PruneConfig& config) {
  return std::make_unique<Prune>(config);
}

std::unique_ptr<StageOptions> prune_options() { return std::make_unique<PruneOptions>(); }

}  // namespace moe::growth
