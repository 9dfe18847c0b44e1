/// What merge and prune have in common: fewer experts in every layer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "growth/computed_source.h"
#include "growth/stage.h"
#include "model/model_config.h"

namespace moe::growth {

/// The config with `experts` of them, and num_experts_per_tok as given, or as it was but at most
/// `experts`. `stage` names the options in refusals.
/// @throws ConfigError for a dense source, more experts than it has, or more choices than experts
ModelConfig with_fewer_experts(const std::string& stage, const ModelConfig& source,
                               std::int64_t experts, std::optional<std::int64_t> choices);

/// A stage that leaves `experts` of them; with as many as there are it changes nothing.
class FewerExperts : public Stage {
 public:
  FewerExperts(std::string stage, std::int64_t experts, std::optional<std::int64_t> choices)
      : stage_(std::move(stage)), experts_(experts), choices_(choices) {}

  ModelConfig grow(const ModelConfig& source) const override;
  bool keeps_function(const ModelConfig& source) const override;
  std::shared_ptr<const checkpoint::TensorSource> apply(const ModelSource& source,
                                                        const StageContext& context) const override;

 protected:
  /// Adds every sparse layer's router and experts to `result`.
  virtual void add_layers(ComputedSource& result, const ModelSource& source, const ModelConfig& config,
                          const StageContext& context) const = 0;

 private:
  std::string stage_;
  std::int64_t experts_;
  std::optional<std::int64_t> choices_;
};

}  // namespace moe::growth
