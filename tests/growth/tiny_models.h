/// Small random models at rest, and how far two of them lie apart.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
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

/// The stored bytes of a slice.
inline std::vector<std::byte> bytes_of(const checkpoint::TensorSource& source,
                                       const std::string& name, const Slice& slice) {
  const DType dtype = source.info(name).dtype;
  std::vector<std::byte> bytes(static_cast<std::size_t>(slice.numel() * size_of(dtype)));
  source.read(name, slice, checkpoint::flat_view(bytes.data(), dtype, slice.numel()));
  return bytes;
}
inline std::vector<std::byte> bytes_of(const checkpoint::TensorSource& source,
                                       const std::string& name) {
  return bytes_of(source, name, whole(source.info(name).shape));
}

/// All tensors of both have the same bytes.
inline ::testing::AssertionResult same_weights(const checkpoint::TensorSource& a,
                                               const checkpoint::TensorSource& b) {
  if (a.names() != b.names()) return ::testing::AssertionFailure() << "other names";
  for (const std::string& name : a.names()) {
    if (a.info(name).dtype != b.info(name).dtype || bytes_of(a, name) != bytes_of(b, name)) {
      return ::testing::AssertionFailure() << name << " differs";
    }
  }
  return ::testing::AssertionSuccess();
}

/// Everything in memory, as its dtype holds it; `change` may alter a tensor's values.
using ChangeTensor = std::function<void(const std::string& name, std::vector<double>& values)>;
inline growth::ModelSource in_memory(const growth::ModelSource& source,
                                     const ChangeTensor& change = {}) {
  auto copy = std::make_shared<checkpoint::MemorySource>("copy");
  for (const std::string& name : source.weights->names()) {
    std::vector<double> values = values_of(*source.weights, name);
    if (change) change(name, values);
    const checkpoint::TensorInfo& info = source.weights->info(name);
    copy->add(name, info.shape, info.dtype, values);
  }
  return {source.config, copy};
}

/// A random box of a tensor, and a random range within it.
inline Slice random_slice(const Shape& shape, const Random& random, std::uint64_t draw) {
  Slice slice = whole(shape);
  const auto below = [&](std::int64_t bound, std::uint64_t index) {
    return static_cast<std::int64_t>(
        random.below(static_cast<std::uint64_t>(bound), draw * 64 + index));
  };
  for (int d = 0; d < shape.rank(); ++d) {
    const auto dim = static_cast<std::size_t>(d);
    slice.begin[dim] = below(shape[d], dim);
    slice.size.set(d, 1 + below(shape[d] - slice.begin[dim], dim + 10));
  }
  slice.flat_begin = below(slice.size.numel(), 20);
  slice.flat_end = slice.flat_begin + 1 + below(slice.size.numel() - slice.flat_begin, 21);
  return slice;
}

/// EXPECTs every tensor to hold the same bytes whatever slices, order, threads and dtype read it.
inline void expect_same_by_any_slice(const checkpoint::TensorSource& source) {
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::vector<std::string> wrong;
  for (const std::string& name : source.names()) {
    threads.emplace_back([&, name] {
      const checkpoint::TensorInfo& info = source.info(name);
      const std::vector<std::byte> all = bytes_of(source, name);
      const std::vector<double> values = values_of(source, name);
      const auto size = static_cast<std::size_t>(size_of(info.dtype));
      bool same = true;
      for (std::uint64_t draw = 0; draw < 12; ++draw) {
        const Slice slice = random_slice(info.shape, Random(1, name), draw);
        const std::vector<std::byte> part = bytes_of(source, name, slice);
        std::vector<double> converted(static_cast<std::size_t>(slice.numel()));
        source.read(name, slice,
                    checkpoint::flat_view(converted.data(), DType::F64, slice.numel()));
        for (std::int64_t i = 0; i < slice.numel(); ++i) {
          const auto at = static_cast<std::size_t>(global_index(slice, slice.flat_begin + i));
          const auto own = static_cast<std::size_t>(i);
          same = same && std::equal(&part[own * size], &part[own * size] + size, &all[at * size]);
          same = same && converted[own] == values[at];
        }
      }
      const std::lock_guard lock(mutex);
      if (!same) wrong.push_back(name);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<std::string>{});
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
