#include "run/generate.h"

#include <algorithm>
#include <span>

#include "base/error.h"
#include "base/format.h"

namespace moe::run {
namespace {

Tensor token_tensor(std::span<const std::int32_t> tokens) {
  return Tensor::from(tokens, {static_cast<std::int64_t>(tokens.size())});
}

/// The logits after the last token of `known`, of which the cache has seen all but the last `fresh`.
Tensor next_logits(Model& model, const std::vector<std::int32_t>& known, std::size_t fresh,
                   nn::KeyValueCache* cache) {
  const std::span<const std::int32_t> all(known);
  const ModelInput input{.token_T = token_tensor(cache != nullptr ? all.last(fresh) : all)};
  return model.logits(input, cache, 1);
}

}  // namespace

Generated generate(Model& model, const std::vector<std::int32_t>& prompt,
                   const GenerateOptions& options,
                   const std::function<void(std::int32_t)>& on_token) {
  const std::int64_t context = model.config().max_position_embeddings;
  const auto prompt_size = static_cast<std::int64_t>(prompt.size());
  if (prompt.empty() || prompt_size > context) {
    throw DataError(format("prompt: expected 1 to {} tokens (model.max_position_embeddings), got {}",
                           context, prompt_size));
  }
  nn::KeyValueCache cache(model.config().num_hidden_layers, 1,
                          std::min(context, prompt_size + options.max_tokens));
  nn::KeyValueCache* used = options.use_cache ? &cache : nullptr;
  std::vector<std::int32_t> known = prompt;
  Generated result;
  for (std::int64_t i = 0; i < options.max_tokens; ++i) {
    if (static_cast<std::int64_t>(known.size()) >= context) {
      result.end = GenerateEnd::ContextFull;
      return result;
    }
    const Tensor logits = next_logits(model, known, i == 0 ? known.size() : 1, used);
    const Tensor single = logits.to(DType::F32);
    const std::span<const float> all = single.span<float>();
    const auto real = static_cast<std::size_t>(options.vocab_size);
    const std::int32_t token =
        sample(real == 0 ? all : all.first(std::min(real, all.size())), options.sampling, static_cast<std::int64_t>(known.size()));
    if (token == options.stop_token) {
      result.end = GenerateEnd::StopToken;
      return result;
    }
    result.tokens.push_back(token);
    known.push_back(token);
    if (on_token) on_token(token);
  }
  return result;
}

}  // namespace moe::run
