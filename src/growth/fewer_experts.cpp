#include "growth/fewer_experts.h"

#include <algorithm>

#include "base/format.h"
#include "growth/refuse.h"

namespace moe::growth {

ModelConfig with_fewer_experts(const std::string& stage, const ModelConfig& source,
                               std::int64_t experts, std::optional<std::int64_t> choices) {
  if (source.num_experts == 0) refuse_option(stage, "the source is dense", "sparsify");
  if (experts < 1 || experts > source.num_experts) {
    refuse_option(stage + ".num_experts",
                  format("must be at most the source's {}, got {}", source.num_experts, experts),
                  format("1 to {}", source.num_experts));
  }
  if (choices && (*choices < 1 || *choices > experts)) {
    refuse_option(stage + ".num_experts_per_tok",
                  format("must be at most num_experts ({}), got {}", experts, *choices),
                  format("1 to {}", experts));
  }
  ModelConfig config = source;
  config.num_experts = experts;
  config.num_experts_per_tok = choices.value_or(std::min(source.num_experts_per_tok, experts));
  return config;
}

ModelConfig FewerExperts::grow(const ModelConfig& source) const {
  return with_fewer_experts(stage_, source, experts_, choices_);
}

bool FewerExperts::keeps_function(const ModelConfig& source) const {
  const ModelConfig config = grow(source);
  return config.num_experts == source.num_experts &&
         config.num_experts_per_tok == source.num_experts_per_tok;
}

std::shared_ptr<const checkpoint::TensorSource> FewerExperts::apply(
    const ModelSource& source, const StageContext& context) const {
  const ModelConfig config = grow(source.config);
  auto result = std::make_shared<ComputedSource>(
      format("{} ({})", source.weights->description(), stage_), source.weights);
  if (config.num_experts < source.config.num_experts) add_layers(*result, source, config, context);
  result->keep_others(config);
  return result;
}

}  // namespace moe::growth
