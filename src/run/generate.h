/// Continues a text, token by token.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "model/model.h"
#include "run/sampler.h"

namespace moe::run {

struct GenerateOptions {
  std::int64_t max_tokens = 100;
  SamplingOptions sampling;
  std::int32_t stop_token = -1;  ///< generation ends before this one; -1: never
  std::int64_t vocab_size = 0;   ///< tokens from here on are padding and never drawn; 0: all are real
  bool use_cache = true;         ///< keep keys and values of earlier tokens; without, all is recomputed
};

enum class GenerateEnd { MaxTokens, StopToken, ContextFull };

struct Generated {
  std::vector<std::int32_t> tokens;  ///< without the prompt
  GenerateEnd end = GenerateEnd::MaxTokens;
};

/// `on_token` sees each token as it comes; it may be empty.
/// @invariant greedy generation gives the same tokens with and without the cache
/// @throws DataError for an empty prompt or one longer than the model's context, NumericalError
Generated generate(Model& model, const std::vector<std::int32_t>& prompt,
                   const GenerateOptions& options,
                   const std::function<void(std::int32_t)>& on_token = {});

}  // namespace moe::run
