/// Small models with every weight away from its initial value, and what they compute.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "autograd/tape.h"
#include "base/error.h"
#include "base/format.h"
#include "checkpoint/memory_source.h"
#include "growth/deepen.h"
#include "growth/parameter_name.h"
#include "growth/widen.h"
#include "interop/load_weights.h"
#include "interop/model_rules.h"
#include "support/context_test.h"
#include "support/expect_close.h"

namespace moe::growth {

/// Relative to the largest logit.
inline constexpr double kExact = testing::kExactGrowthF64;

inline ModelConfig tiny_config() {
  ModelConfig config;
  config.vocab_size = 29;
  config.hidden_size = 8;
  config.num_hidden_layers = 3;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 6;
  config.intermediate_size = 10;
  config.max_position_embeddings = 32;
  config.rms_norm_eps = 1e-3;  // large enough to be missed when it is forgotten
  config.initializer_range = 0.2;
  return config;
}

inline ModelConfig tiny_moe_config() {
  ModelConfig config = tiny_config();
  config.num_experts = 4;
  config.num_experts_per_tok = 2;
  config.moe_intermediate_size = 6;
  config.shared_expert_intermediate_size = 5;
  config.shared_expert_gate = true;
  config.mlp_only_layers = {1};
  return config;
}

/// Weights as after some training: norm gains about 1, biases and all others about 0, none special.
inline std::shared_ptr<checkpoint::MemorySource> random_weights(const ModelConfig& config,
                                                                DType dtype = DType::F64,
                                                                std::uint64_t seed = 3) {
  auto source = std::make_shared<checkpoint::MemorySource>("random weights");
  for (const ParameterShape& parameter : parameters_of(config)) {
    const Random random(seed, parameter.name);
    const bool norm = parameter.kind == ParameterKind::Norm;
    std::vector<double> values(static_cast<std::size_t>(parameter.shape.numel()));
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = (norm ? 1.0 : 0.0) + 0.3 * random.normal(i);
    }
    source->add(parameter.name, parameter.shape, dtype, values);
  }
  return source;
}

inline ModelSource random_model(const ModelConfig& config, DType dtype = DType::F64) {
  return {config, random_weights(config, dtype)};
}

inline std::unique_ptr<Model> load_model(const ModelSource& source, DType dtype = DType::F64) {
  auto model = std::make_unique<Model>(source.config);
  model->allocate(dtype);
  interop::load_parameters(*model, *source.weights);
  return model;
}

inline ModelInput tiny_input(const ModelConfig& config) {
  ModelInput input;
  input.batch = 2;
  input.token_T = testing::random_ids("tokens", 18, config.vocab_size);
  input.target_T = testing::random_ids("targets", 18, config.vocab_size);
  return input;
}

inline std::vector<double> logits_of(const ModelSource& source, DType dtype = DType::F64) {
  return load_model(source, dtype)->logits(tiny_input(source.config)).to_vector();
}

/// The largest difference, as a share of the largest logit.
inline double logit_jump(const ModelSource& before, const ModelSource& after,
                         DType dtype = DType::F64) {
  const std::vector<double> a = logits_of(before, dtype);
  const std::vector<double> b = logits_of(after, dtype);
  EXPECT_EQ(a.size(), b.size());
  double scale = 0.0;
  double difference = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    scale = std::max(scale, std::abs(a[i]));
    difference = std::max(difference, std::abs(a[i] - b[i]));
    if (std::isnan(b[i])) return b[i];
  }
  return difference / scale;
}

inline ModelSource grow(const Stage& stage, const ModelSource& source,
                        const StageContext& context = {}) {
  const ModelConfig config = stage.grow(source.config);
  EXPECT_EQ(interop::broken_rules(config), std::vector<std::string>{});
  return {config, stage.apply(source, context)};
}

inline ModelSource widen(const ModelSource& source, const WidenConfig& options) {
  return grow(*make_widen(options), source);
}

inline ModelSource deepen(const ModelSource& source, const std::string& method,
                          std::int64_t layers) {
  return grow(*make_deepen({method, layers}), source);
}

inline std::vector<double> values_of(const checkpoint::TensorSource& source,
                                     const std::string& name) {
  const Shape& shape = source.info(name).shape;
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  source.read(name, checkpoint::flat_view(values.data(), DType::F64, shape.numel()));
  return values;
}

/// One step of plain gradient descent in f64; the weights after it.
inline std::shared_ptr<checkpoint::MemorySource> after_a_step(const ModelSource& source) {
  const std::unique_ptr<Model> model = load_model(source);
  Tape tape;
  ModelLoss loss;
  {
    const TapeScope scope(&tape);
    loss = model->loss(tiny_input(source.config), {.per_target = 1.0 / 18}, nn::Phase::Train);
  }
  tape.backward(loss.total);
  auto stepped = std::make_shared<checkpoint::MemorySource>("after a step");
  model->for_each_parameter([&](nn::Parameter& parameter) {
    std::vector<double> values = parameter.value().to_vector();
    const std::vector<double> slope = parameter.gradient().to_vector();
    for (std::size_t i = 0; i < values.size(); ++i) values[i] -= 0.5 * slope[i];
    stepped->add(parameter.name(), parameter.spec().shape, DType::F64, values);
  });
  return stepped;
}

/// The message of the ConfigError that `body` throws, "" if it does not.
inline std::string refusal(const std::function<void()>& body) {
  try {
    body();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

class GrowthTest : public testing::ContextTest {};

}  // namespace moe::growth
