#include "growth/widen.h"

#include "growth/width_plan.h"

namespace moe::growth {
namespace {

constexpr config::IntegerRange kSizes{.min = 1, .max = std::int64_t{1} << 24};

class Widen : public Stage {
 public:
  explicit Widen(WidenConfig options)
      : options_(std::move(options)), rule_(width_methods().find(options_.method)()) {}

  std::string method() const override { return options_.method; }
  bool carries_moments() const override { return true; }
  ModelConfig grow(const ModelConfig& source) const override { return widened(source, options_); }

  bool keeps_function(const ModelConfig& source) const override {
    const ModelConfig result = grow(source);
    if (rule_.from_next_layer) return has_same_widths(source, result);
    return rule_.hidden == WidthRule::Hidden::WholeCopies ||
           result.hidden_size % source.hidden_size == 0;
  }

  std::shared_ptr<const checkpoint::TensorSource> apply(
      const ModelSource& source, const StageContext& context) const override {
    const ModelConfig result = grow(source.config);
    const WidthPlan plan({source.config, result, rule_}, context);
    auto grown = std::make_shared<GrownSource>(
        source.weights->description() + ", widened by " + options_.method, source.weights);
    for (const ParameterShape& parameter : parameters_of(result)) {
      checkpoint::TensorInfo info = source.weights->info(parameter.name);
      info.shape = parameter.shape;
      grown->add(parameter.name, std::move(info), plan.recipe(parameter.name));
    }
    return grown;
  }

 private:
  static bool has_same_widths(const ModelConfig& a, const ModelConfig& b) {
    return a.hidden_size == b.hidden_size && a.intermediate_size == b.intermediate_size &&
           a.expert_width() == b.expert_width() &&
           a.shared_expert_intermediate_size == b.shared_expert_intermediate_size &&
           a.num_attention_heads == b.num_attention_heads &&
           a.key_value_heads() == b.key_value_heads();
  }

  WidenConfig options_;
  WidthRule rule_;
};

class Options : public StageOptions {
 public:
  void fields(config::Fields& f) override { config_.fields(f); }
  std::unique_ptr<Stage> make() const override { return make_widen(config_); }

 private:
  WidenConfig config_;
};

}  // namespace

void WidenConfig::fields(config::Fields& f) {
  f.choice("method", method, width_methods().names(),
           "how: lemon and exact keep the function at any ratio, fpi at whole ones, aki and aki_pro do not");
  f.optional_integer("hidden_size", hidden_size, "null", "width of the residual stream; null: stays",
                     kSizes);
  f.optional_integer("intermediate_size", intermediate_size, "null",
                     "neurons of dense layers (and of experts that name no size of their own)", kSizes);
  f.optional_integer("moe_intermediate_size", moe_intermediate_size, "null", "neurons of an expert",
                     kSizes);
  f.optional_integer("shared_expert_intermediate_size", shared_expert_intermediate_size, "null",
                     "neurons of the shared expert", kSizes);
  f.optional_integer("num_attention_heads", num_attention_heads, "null",
                     "query heads; head_dim always stays", kSizes);
  f.optional_integer("num_key_value_heads", num_key_value_heads, "null", "key and value heads", kSizes);
}

std::unique_ptr<Stage> make_widen(const WidenConfig& options) {
  return std::make_unique<Widen>(options);
}

std::unique_ptr<StageOptions> widen_options() { return std::make_unique<Options>(); }

}  // namespace moe::growth
