/// Small random models at rest, and how far two of them lie apart.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "base/format.h"
#include "base/random.h"
#include "checkpoint/memory_source.h"
#include "growth/compare.h"
#include "model/model.h"
#include "support/context_test.h"

namespace moe::testing {

/// Grouped queries and an odd number of everything that may be odd.
inline ModelConfig tiny_dense() {
  ModelConfig config;
  config.vocab_size = 37;
  config.hidden_size = 12;
  config.num_hidden_layers = 3;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 4;
  config.intermediate_size = 24;
  config.max_position_embeddings = 64;
  config.rms_norm_eps = 1e-5;
  return config;
}

inline ModelConfig tiny_sparse(std::int64_t experts, std::int64_t choices) {
  ModelConfig config = tiny_dense();
  config.num_experts = experts;
  config.num_experts_per_tok = choices;
  return config;
}

/// Every weight normal and scaled so that activations stay near one; norms near one.
inline growth::ModelSource random_source(const ModelConfig& config, DType dtype = DType::F32,
                                         std::uint64_t seed = 3) {
  auto source = std::make_shared<checkpoint::MemorySource>("random model");
  Model model(config);
  model.for_each_parameter([&](const nn::Parameter& parameter) {
    const auto& [name, shape, kind, placement, initializer] = parameter.spec();
    const Random random(seed, name);
    const bool norm = kind == ParameterKind::Norm;
    const double scale =
        norm || kind == ParameterKind::Bias
            ? 0.2
            : (kind == ParameterKind::Embedding
                   ? 1.0
                   : 1.0 / std::sqrt(static_cast<double>(shape[shape.rank() - 1])));
    std::vector<double> values(static_cast<std::size_t>(shape.numel()));
    for (std::size_t i = 0; i < values.size(); ++i) {
      // Through f32, so that f64 copies of the model hold what f32 ones do.
      values[i] = static_cast<float>((norm ? 1.0 : 0.0) + scale * random.normal(i));
    }
    source->add(name, shape, dtype, values);
  });
  return {config, source};
}

inline std::vector<std::int32_t> random_tokens(std::int64_t count, std::int64_t vocab,
                                               const std::string& name = "tokens") {
  const Random random(11, name);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(vocab), i));
  }
  return tokens;
}

/// All of a tensor, as f64.
inline std::vector<double> values_of(const checkpoint::TensorSource& source,
                                     const std::string& name) {
  std::vector<double> values(static_cast<std::size_t>(source.info(name).shape.numel()));
  source.read(name, checkpoint::flat_view(values.data(), DType::F64,
                                          static_cast<std::int64_t>(values.size())));
  return values;
}

/// Both models computed in `dtype`, over the same random tokens.
inline growth::Comparison compared(const growth::ModelSource& a, const growth::ModelSource& b,
                                   DType dtype = DType::F64, std::int64_t tokens = 40) {
  return growth::compare(growth::BlockwiseModel(a, dtype), growth::BlockwiseModel(b, dtype),
                         random_tokens(tokens, a.config.vocab_size));
}
/// The largest difference of logits over the largest logit.
inline double relative_difference(const growth::ModelSource& a, const growth::ModelSource& b,
                                  DType dtype = DType::F64) {
  const growth::Comparison comparison = compared(a, b, dtype);
  return comparison.max_difference / comparison.max_logit;
}

/// EXPECTs the weights to be exactly the parameters of the config.
inline void expect_complete(const growth::ModelSource& source) {
  std::vector<checkpoint::ExpectedTensor> expected;
  Model model(source.config);
  model.for_each_parameter([&](const nn::Parameter& parameter) {
    expected.push_back({parameter.name(), parameter.spec().shape, {}});
  });
  EXPECT_NO_THROW(checkpoint::require_tensors(*source.weights, expected));
}

}  // namespace moe::testing
