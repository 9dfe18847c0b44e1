#include "growth/deepen.h"

#include "base/error.h"
#include "base/format.h"
#include "growth/depth_maps.h"
#include "growth/grown_source.h"
#include "growth/parameter_name.h"
#include "growth/sparse_pattern.h"

namespace moe::growth {
namespace {

constexpr std::int64_t kMostLayers = 4096;  // as config.json is read

DepthMap depth_map_of(const ModelConfig& source, const DeepenConfig& options) {
  if (!options.num_hidden_layers) {
    throw ConfigError("deepen.num_hidden_layers: must be given");
  }
  const std::int64_t layers = *options.num_hidden_layers;
  if (layers < source.num_hidden_layers) {
    throw ConfigError(format("deepen.num_hidden_layers: got {}, but the source has {}; deepening only "
                             "grows: {} or more",
                             layers, source.num_hidden_layers, source.num_hidden_layers));
  }
  return depth_methods().find(options.method)(source.num_hidden_layers, layers);
}

class Deepen : public Stage {
 public:
  explicit Deepen(DeepenConfig options) : options_(std::move(options)) {}

  std::string method() const override { return options_.method; }
  bool carries_moments() const override { return true; }
  ModelConfig grow(const ModelConfig& source) const override { return deepened(source, options_); }

  std::optional<std::vector<std::int64_t>> depth_map(const ModelConfig& source) const override {
    return depth_map_of(source, options_).from;
  }

  bool keeps_function(const ModelConfig& source) const override {
    return options_.method == "identity" || grow(source).num_hidden_layers == source.num_hidden_layers;
  }

  std::shared_ptr<const checkpoint::TensorSource> apply(const ModelSource& source,
                                                        const StageContext&) const override {
    const DepthMap map = depth_map_of(source.config, options_);
    auto grown = std::make_shared<GrownSource>(
        source.weights->description() + ", deepened by " + options_.method, source.weights);
    for (const ParameterShape& parameter : parameters_of(grow(source.config))) {
      ParameterName name = ParameterName::parse(parameter.name);
      bool silent = false;
      if (name.layer) {
        const auto layer = static_cast<std::size_t>(*name.layer);
        silent = map.silent[layer] && writes_residual(name.part);
        name.layer = map.from[layer];
      }
      grown->add(parameter.name, source.weights->info(name.text()),
                 silent ? zeros() : same_as(name.text()));
    }
    return grown;
  }

 private:
  DeepenConfig options_;
};

class Options : public StageOptions {
 public:
  void fields(config::Fields& f) override { config_.fields(f); }
  std::unique_ptr<Stage> make() const override { return make_deepen(config_); }

 private:
  DeepenConfig config_;
};

}  // namespace

void DeepenConfig::fields(config::Fields& f) {
  f.choice("method", method, depth_methods().names(),
           "how: identity keeps the function; stack repeats the model, interpolate each layer");
  f.optional_integer("num_hidden_layers", num_hidden_layers, "null", "layers of the result",
                     {.min = 1, .max = kMostLayers});
  if (!num_hidden_layers) f.reject("num_hidden_layers", "must be given");
}

ModelConfig deepened(const ModelConfig& source, const DeepenConfig& options) {
  const DepthMap map = depth_map_of(source, options);
  ModelConfig result = source;
  result.num_hidden_layers = static_cast<std::int64_t>(map.from.size());
  result.layer_types.clear();
  std::vector<bool> sparse;
  for (const std::int64_t from : map.from) {
    sparse.push_back(source.is_sparse(from));
    if (!source.layer_types.empty()) {
      result.layer_types.push_back(source.layer_types[static_cast<std::size_t>(from)]);
    }
  }
  set_sparse_layers(result, sparse);
  return result;
}

std::unique_ptr<Stage> make_deepen(const DeepenConfig& options) {
  return std::make_unique<Deepen>(options);
}

std::unique_ptr<StageOptions> deepen_options() { return std::make_unique<Options>(); }

}  // namespace moe::growth
