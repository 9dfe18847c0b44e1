#include "growth/narrow.h"

#include <cmath>

#include "base/error.h"
#include "base/format.h"
#include "growth/folded_tensor.h"
#include "growth/width_plan.h"

namespace moe::growth {
namespace {

/// The stage's own names for what widen would complain about.
ModelConfig widened_again(const ModelConfig& narrow, const WidenConfig& to) {
  try {
    return widened(narrow, to);
  } catch (const ConfigError& error) {
    throw ConfigError(format("narrow: the source cannot have been widened from these sizes: {}", error.what()));
  }
}

std::int64_t shrunk(const char* option, const std::optional<std::int64_t>& named, std::int64_t source) {
  const std::int64_t size = named.value_or(source);
  if (size <= source) return size;
  throw ConfigError(format("narrow.{}: got {}, but the source has {}; narrowing only shrinks: {} or less", option,
                           size, source, source));
}

double copied_share(const ModelConfig& narrow, const ModelConfig& wide, const std::string& method) {
  if (width_methods().find(method)().hidden == WidthRule::Hidden::Circular) return 1.0;
  const std::int64_t copied = wide.hidden_size / narrow.hidden_size * narrow.hidden_size;
  return static_cast<double>(copied) / static_cast<double>(wide.hidden_size);
}

class Narrow : public Stage {
 public:
  explicit Narrow(WidenConfig options) : options_(std::move(options)) {}

  std::string method() const override { return options_.method; }
  ModelConfig grow(const ModelConfig& source) const override { return narrowed(source, options_); }
  /// Only of a model that was widened and not trained since.
  bool keeps_function(const ModelConfig&) const override { return false; }

  std::shared_ptr<const checkpoint::TensorSource> apply(const ModelSource& source,
                                                        const StageContext&) const override {
    const ModelConfig narrow = grow(source.config);
    const WidthPlan plan({narrow, source.config, width_methods().find(options_.method)()}, {});
    auto result = std::make_shared<GrownSource>(
        source.weights->description() + ", narrowed from " + options_.method, source.weights);
    for (const ParameterShape& parameter : parameters_of(narrow)) {
      checkpoint::TensorInfo info = source.weights->info(parameter.name);
      info.shape = parameter.shape;
      result->add(parameter.name, std::move(info), recipe(plan, parameter.name, narrow, source.config));
    }
    return result;
  }

 private:
  std::shared_ptr<const TensorRecipe> recipe(const WidthPlan& plan, const std::string& name,
                                             const ModelConfig& narrow, const ModelConfig& wide) const {
    const Expansion expansion = plan.expansion(name);
    if (!expansion.rows && !expansion.columns && !expansion.row_scale) return same_as(name);
    const bool shared_gain = name == "norm.weight" && narrow.tie_word_embeddings;
    if (!shared_gain) return folded(expansion);
    const bool circular = width_methods().find(options_.method)().hidden == WidthRule::Hidden::Circular;
    const AxisMap map = circular ? circular_map(narrow.hidden_size, wide.hidden_size)
                                 : whole_copies_map(narrow.hidden_size, wide.hidden_size);
    return folded_sum(name, std::make_shared<AxisMap>(map),
                      std::sqrt(copied_share(narrow, wide, options_.method)));
  }

  WidenConfig options_;
};

class Options : public StageOptions {
 public:
  void fields(config::Fields& f) override { config_.fields(f); }
  std::unique_ptr<Stage> make() const override { return make_narrow(config_); }

 private:
  WidenConfig config_;
};

}  // namespace

ModelConfig narrowed(const ModelConfig& source, const WidenConfig& options) {
  ModelConfig narrow = source;
  narrow.hidden_size = shrunk("hidden_size", options.hidden_size, source.hidden_size);
  narrow.intermediate_size =
      shrunk("intermediate_size", options.intermediate_size, source.intermediate_size);
  narrow.num_attention_heads =
      shrunk("num_attention_heads", options.num_attention_heads, source.num_attention_heads);
  narrow.num_key_value_heads =
      shrunk("num_key_value_heads", options.num_key_value_heads, source.key_value_heads());
  narrow.head_dim = source.head_width();
  if (source.num_experts > 0 && (options.moe_intermediate_size || source.moe_intermediate_size)) {
    narrow.moe_intermediate_size =
        shrunk("moe_intermediate_size", options.moe_intermediate_size, source.expert_width());
  }
  narrow.shared_expert_intermediate_size =
      shrunk("shared_expert_intermediate_size", options.shared_expert_intermediate_size,
             source.shared_expert_intermediate_size);
  WidenConfig back{.method = options.method,
                   .hidden_size = source.hidden_size,
                   .num_attention_heads = source.num_attention_heads,
                   .num_key_value_heads = source.key_value_heads()};
  if (narrow.num_attention_heads % *narrow.num_key_value_heads != 0) {
    throw ConfigError(format("narrow.num_attention_heads: {} query heads do not divide into {} key-value groups",
                             narrow.num_attention_heads, *narrow.num_key_value_heads));
  }
  narrow.rms_norm_eps = source.rms_norm_eps / copied_share(narrow, source, options.method);
  (void)widened_again(narrow, back);
  return narrow;
}

std::unique_ptr<Stage> make_narrow(const WidenConfig& options) {
  return std::make_unique<Narrow>(options);
}

std::unique_ptr<StageOptions> narrow_options() { return std::make_unique<Options>(); }

}  // namespace moe::growth
