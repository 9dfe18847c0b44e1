#include "run/generate_run.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "run/loaded_model.h"
#include "run/tokenizer_files.h"

namespace moe::run {
namespace {

std::shared_ptr<const data::Tokenizer> require_tokenizer(const LoadedModel& loaded) {
  auto tokenizer = tokenizer_of(*loaded.checkpoint);
  if (!tokenizer) {
    throw CheckpointError(format("{}: carries no tokenizer (trained on synthetic or foreign tokens), so "
                                 "text cannot be generated",
                                 loaded.checkpoint->path().string()));
  }
  return tokenizer;
}

/// An empty prompt starts a document.
std::vector<std::int32_t> prompt_tokens(const data::Tokenizer& tokenizer, const std::string& text) {
  std::vector<std::int32_t> tokens{tokenizer.bos_id()};
  tokenizer.encode(text, tokens);
  return tokens;
}

const char* to_string(GenerateEnd end) {
  switch (end) {
    case GenerateEnd::MaxTokens: return "max_tokens";
    case GenerateEnd::StopToken: return "end_of_document";
    case GenerateEnd::ContextFull: return "context_full";
  }
  return "unknown";
}

}  // namespace

int generate_text(const GenerateRunOptions& options, comm::World& world) {
  LoadedModel loaded = load_model(options.checkpoint, world, 1, options.compute_dtype);
  const auto tokenizer = require_tokenizer(loaded);
  GenerateOptions generating = options.generate;
  generating.stop_token = tokenizer->eod_id();
  generating.vocab_size = tokenizer->vocab_size();
  const bool streams = world.rank() == 0 && !options.json;
  if (streams) std::cout << options.prompt << std::flush;
  const Stopwatch watch;
  const Generated generated = generate(
      *loaded.model, prompt_tokens(*tokenizer, options.prompt), generating,
      [&](std::int32_t token) {
        if (streams) std::cout << tokenizer->token_bytes(token) << std::flush;
      });
  const double seconds = watch.seconds();
  if (world.rank() != 0) return 0;
  if (options.json) {
    nlohmann::ordered_json told;
    told["prompt"] = options.prompt;
    told["text"] = tokenizer->decode(generated.tokens);
    told["tokens"] = generated.tokens;
    told["end"] = to_string(generated.end);
    told["tokens_per_second"] = static_cast<double>(generated.tokens.size()) / seconds;
    std::cout << told.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n";
    return 0;
  }
  std::cout << "\n";
  if (generated.end == GenerateEnd::ContextFull) {
    log_warning(format("stopped: the context of {} tokens (model.max_position_embeddings) is full",
                       loaded.config.model.max_position_embeddings));
  }
  return 0;
}

}  // namespace moe::run
