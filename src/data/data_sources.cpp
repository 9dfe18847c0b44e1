#include "data/data_sources.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "base/format.h"
#include "data/mixture.h"
#include "data/synthetic.h"
#include "data/token_source.h"

namespace moe::data {
namespace {

using ShardPointer = std::shared_ptr<const TokenShard>;

/// Opens shards that must have been made with one tokenizer.
class ShardOpener {
 public:
  ShardOpener(const DataConfig& config, const DataContext& context)
      : config_(config), context_(context) {}

  ShardPointer open(const std::string& prefix) {
    auto shard = std::make_shared<TokenShard>(prefix);
    if (shard->tokens() == 0) {
      throw DataError(format("{}: byte 0: expected tokens, found an empty shard",
                             shard_paths(prefix).bin.string()));
    }
    if (shard->info()) check_info(prefix, *shard->info());
    return shard;
  }

  PackingOptions packing(const TokenShard& shard) const {
    PackingOptions options{.vocab_size = context_.vocab_size,
                           .eod = shard.info() ? shard.info()->eod : -1,
                           .document_mask = config_.document_mask,
                           .predict_eod = config_.predict_eod};
    if (config_.eod) options.eod = static_cast<std::int32_t>(*config_.eod);
    return options;
  }

  /// The one of the config or of the shards; null when neither names one.
  std::shared_ptr<const Tokenizer> tokenizer() const {
    const bool given = config_.tokenizer != "auto";
    if (!given && prefix_.empty()) return nullptr;
    auto loaded = load_tokenizer(given ? config_.tokenizer : prefix_);
    if (!prefix_.empty()) check_match(*loaded);
    return loaded;
  }

 private:
  void check_info(const std::string& prefix, const ShardInfo& info) {
    if (info.vocab_size > context_.vocab_size) {
      throw ConfigError(format("model.vocab_size: expected at least {}, the vocabulary of {}, found {}",
                               info.vocab_size, prefix, context_.vocab_size));
    }
    if (prefix_.empty()) {
      prefix_ = prefix;
      info_ = info;
    }
    if (info.tokenizer != info_.tokenizer || info.tokenizer_digest != info_.tokenizer_digest) {
      throw DataError(format(
          "{}: made with another tokenizer ({} {}) than {} ({} {}); prepare both with the same one",
          prefix, info.tokenizer, info.tokenizer_digest, prefix_, info_.tokenizer,
          info_.tokenizer_digest));
    }
  }

  void check_match(const Tokenizer& tokenizer) const {
    const std::string model = tokenizer.model();
    const std::string digest = model.empty() ? "" : digest_128(std::as_bytes(std::span(model)));
    if (tokenizer.name() == info_.tokenizer && digest == info_.tokenizer_digest &&
        tokenizer.vocab_size() == info_.vocab_size) {
      return;
    }
    throw DataError(format(
        "{}: expected the tokenizer it was made with ({} {}, vocabulary {}), found {} {}, vocabulary "
        "{}; set data.tokenizer: auto",
        prefix_, info_.tokenizer, info_.tokenizer_digest, info_.vocab_size, tokenizer.name(), digest,
        tokenizer.vocab_size()));
  }

  const DataConfig& config_;
  const DataContext& context_;
  std::string prefix_;  // of the first shard with a description
  ShardInfo info_;
};

/// The token at which the held-out share of a shard begins: where a document does, if one begins in
/// the second half of that share's way; else in the middle of one.
std::int64_t held_out_begin(const TokenShard& shard, double fraction) {
  const auto wanted = static_cast<std::int64_t>(
      std::llround(static_cast<double>(shard.tokens()) * (1 - fraction)));
  const std::int64_t at = std::clamp<std::int64_t>(wanted, 1, shard.tokens() - 1);
  const std::int64_t next = shard.index().document_begin(shard.index().document_of(at - 1) + 1);
  return next - at <= (shard.tokens() - at) / 2 ? next : at;
}

std::int64_t bytes_of(const TokenStream& stream, const Tokenizer* tokenizer) {
  const TokenShard& shard = stream.shard();
  const bool whole = stream.begin() == 0 && stream.end() == shard.tokens();
  if (whole && shard.info()) return shard.info()->bytes;
  if (tokenizer == nullptr) return -1;
  std::int64_t bytes = 0;
  std::vector<std::int32_t> block;
  constexpr std::int64_t kBlock = 1 << 16;
  for (std::int64_t at = stream.begin(); at < stream.end(); at += kBlock) {
    block.resize(static_cast<std::size_t>(std::min(kBlock, stream.end() - at)));
    shard.read(at, block);
    shard.require_below(block, at, tokenizer->vocab_size());
    bytes += tokenizer->decoded_bytes(block);
  }
  return bytes;
}

std::shared_ptr<const HeldOut> make_held_out(std::vector<TokenStream> streams,
                                             const Tokenizer* tokenizer,
                                             const DataContext& context) {
  if (streams.empty()) return nullptr;
  std::int64_t bytes = 0;
  for (const TokenStream& stream : streams) {
    const std::int64_t own = bytes_of(stream, tokenizer);
    bytes = own < 0 || bytes < 0 ? -1 : bytes + own;
  }
  return std::make_shared<TokenHeldOut>(std::move(streams), context.sequence_length, bytes);
}

/// Collects the training and the held-out streams of shards.
class StreamSplitter {
 public:
  StreamSplitter(ShardOpener& opener, double fraction) : opener_(opener), fraction_(fraction) {}

  TokenStream train_stream(const std::string& prefix) {
    const ShardPointer shard = opener_.open(prefix);
    const PackingOptions packing = opener_.packing(*shard);
    std::int64_t cut = shard->tokens();
    if (fraction_ > 0 && cut > 1) {
      cut = held_out_begin(*shard, fraction_);
      held_out.emplace_back(shard, cut, shard->tokens(), packing);
    }
    return {shard, 0, cut, packing};
  }

  std::vector<TokenStream> held_out;

 private:
  ShardOpener& opener_;
  double fraction_;
};

DataSet open_tokens(const DataConfig& config, const DataContext& context) {
  ShardOpener opener(config, context);
  StreamSplitter splitter(opener, config.validation_fraction);
  std::vector<Mixture::Part> parts;
  const auto add = [&](std::vector<TokenStream> streams, double weight) {
    SamplingOptions sampling{.sequence_length = context.sequence_length,
                             .shuffle = config.shuffle,
                             .seed = context.seed,
                             .name = std::to_string(parts.size())};
    parts.push_back({std::make_shared<TokenSource>(std::move(streams), sampling), weight});
  };
  std::vector<TokenStream> joined;
  for (const std::string& prefix : config.train) joined.push_back(splitter.train_stream(prefix));
  if (!joined.empty()) add(std::move(joined), 1);
  for (const SourceConfig& source : config.sources) {
    add({splitter.train_stream(source.path)}, source.weight);
  }
  if (static_cast<std::int64_t>(parts.size()) > MixtureOrder::kBlock) {
    throw ConfigError(format("data.sources: expected at most {} sources, found {}",
                             MixtureOrder::kBlock, parts.size()));
  }
  for (const std::string& prefix : config.validation) {
    const ShardPointer shard = opener.open(prefix);
    splitter.held_out.emplace_back(shard, 0, shard->tokens(), opener.packing(*shard));
  }
  DataSet data;
  data.tokenizer = opener.tokenizer();
  if (!parts.empty()) data.train = std::make_shared<Mixture>(std::move(parts), context.seed);
  data.held_out = make_held_out(std::move(splitter.held_out), data.tokenizer.get(), context);
  return data;
}

DataSet open_synthetic(const DataConfig& config, const DataContext& context) {
  const SyntheticConfig& synthetic = config.synthetic;
  const SyntheticLanguage language(synthetic, context.vocab_size, context.seed);
  DataSet data;
  data.train = std::make_shared<SyntheticSource>(language, synthetic.samples, context.seed);
  if (synthetic.validation_samples > 0) {
    data.held_out = std::make_shared<SyntheticHeldOut>(language, synthetic.validation_samples,
                                                       context.sequence_length, context.seed);
  }
  return data;
}

}  // namespace

DataSet open_data(const DataConfig& config, const DataContext& context) {
  if (context.sequence_length < 1 || context.vocab_size < 1) {
    throw ConfigError(format("training.sequence_length and model.vocab_size: expected 1 or more, "
                             "found {} and {}",
                             context.sequence_length, context.vocab_size));
  }
  return data_sources().find(config.source)(config, context);
}

std::shared_ptr<const HeldOut> open_held_out(const std::vector<std::string>& prefixes,
                                             const DataConfig& config, const DataContext& context) {
  DataConfig only = config;
  only.source = "tokens";
  only.train.clear();
  only.sources.clear();
  only.validation_fraction = 0;
  only.validation = prefixes;
  return open_data(only, context).held_out;
}

const config::Registry<OpenData>& data_sources() {
  static const config::Registry<OpenData> table(
      "data.source", {{"tokens", &open_tokens}, {"synthetic", &open_synthetic}});
  return table;
}

}  // namespace moe::data
