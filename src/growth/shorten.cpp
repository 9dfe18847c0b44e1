#include "growth/shorten.h"

#include <algorithm>

#include "base/error.h"
#include "base/format.h"
#include "growth/depth_maps.h"
#include "growth/grown_source.h"
#include "growth/parameter_name.h"
#include "growth/slices.h"
#include "growth/sparse_pattern.h"

namespace moe::growth {
namespace {

bool all_zero(const checkpoint::TensorSource& source, const std::string& name) {
  bool zero = true;
  std::vector<float> values;
  for_each_chunk(whole(source.info(name).shape), kChunkElements, [&](const Slice& part, std::int64_t) {
    if (!zero) return;
    values.resize(static_cast<std::size_t>(part.numel()));
    source.read(name, part, checkpoint::flat_view(values.data(), DType::F32, part.numel()));
    zero = std::ranges::all_of(values, [](float v) { return v == 0.0F; });
  });
  return zero;
}

class Shorten : public Stage {
 public:
  explicit Shorten(ShortenConfig options) : options_(std::move(options)) {}

  std::string method() const override { return "identity"; }
  bool carries_moments() const override { return true; }

  ModelConfig grow(const ModelConfig& source) const override {
    ModelConfig result = source;
    result.layer_types.clear();
    std::vector<bool> sparse;
    for (const std::int64_t layer : kept(source)) {
      sparse.push_back(source.is_sparse(layer));
      if (!source.layer_types.empty()) {
        result.layer_types.push_back(source.layer_types[static_cast<std::size_t>(layer)]);
      }
    }
    result.num_hidden_layers = static_cast<std::int64_t>(sparse.size());
    set_sparse_layers(result, sparse);
    return result;
  }

  std::optional<std::vector<std::int64_t>> depth_map(const ModelConfig& source) const override {
    return kept(source);
  }
  bool keeps_function(const ModelConfig&) const override { return true; }

  std::shared_ptr<const checkpoint::TensorSource> apply(const ModelSource& source,
                                                        const StageContext& context) const override {
    const std::vector<std::int64_t> layers = kept(source.config);
    if (context.moments_of == nullptr) require_silent(source, layers);
    auto result = std::make_shared<GrownSource>(source.weights->description() + ", shortened",
                                                source.weights);
    for (const ParameterShape& parameter : parameters_of(grow(source.config))) {
      ParameterName name = ParameterName::parse(parameter.name);
      if (name.layer) name.layer = layers[static_cast<std::size_t>(*name.layer)];
      result->add(parameter.name, source.weights->info(name.text()), same_as(name.text()));
    }
    return result;
  }

 private:
  /// Layers of the source that stay.
  std::vector<std::int64_t> kept(const ModelConfig& source) const {
    const std::int64_t layers = options_.num_hidden_layers.value_or(0);
    if (layers < 1 || layers > source.num_hidden_layers) {
      throw ConfigError(format("shorten.num_hidden_layers: got {}, expected 1 to {}", layers,
                               source.num_hidden_layers));
    }
    const DepthMap map = identity(layers, source.num_hidden_layers);
    std::vector<std::int64_t> kept;
    for (std::size_t layer = 0; layer < map.silent.size(); ++layer) {
      if (!map.silent[layer]) kept.push_back(static_cast<std::int64_t>(layer));
    }
    return kept;
  }

  static void require_silent(const ModelSource& source, const std::vector<std::int64_t>& kept) {
    for (const std::string& text : source.weights->names()) {
      const ParameterName name = ParameterName::parse(text);
      if (!name.layer || !writes_residual(name.part) || std::ranges::binary_search(kept, *name.layer)) {
        continue;
      }
      if (all_zero(*source.weights, text)) continue;
      throw CheckpointError(format("{}: {} is not zero, so layer {} cannot be left out: it was not added by identity "
                                   "deepening to {} layers, or trained since",
                                   source.weights->description(), text, *name.layer,
                                   source.config.num_hidden_layers));
    }
  }

  ShortenConfig options_;
};

class Options : public StageOptions {
 public:
  void fields(config::Fields& f) override { config_.fields(f); }
  std::unique_ptr<Stage> make() const override { return make_shorten(config_); }

 private:
  ShortenConfig config_;
};

}  // namespace

void ShortenConfig::fields(config::Fields& f) {
  f.optional_integer("num_hidden_layers", num_hidden_layers, "null", "layers of the result", {.min = 1});
  if (!num_hidden_layers) f.reject("num_hidden_layers", "must be given");
}

std::unique_ptr<Stage> make_shorten(const ShortenConfig& options) {
  return std::make_unique<Shorten>(options);
}

std::unique_ptr<StageOptions> shorten_options() { return std::make_unique<Options>(); }

}  // namespace moe::growth
