#include "data/sentencepiece_trainer.h"

#include <sentencepiece_trainer.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/format.h"
#include "data/utf8.h"
#include "data/word_cutter.h"

namespace moe::data {
namespace {

constexpr char32_t kUnknownMark = 0x2585;  // the library drops sentences that hold it

/// What the library cannot take becomes a line end, which no piece joins with letters.
std::string sanitized(const std::string& block) {
  std::string text;
  text.reserve(block.size());
  for (std::size_t at = 0; at < block.size();) {
    const Utf8Char found = utf8_at(block, at);
    const bool usable = found.valid && found.code != 0 && found.code != kSpaceMark &&
                        found.code != kUnknownMark;
    if (usable) {
      text.append(block, at, found.size);
    } else {
      text += '\n';
    }
    at += found.size;
  }
  return text;
}

class Blocks final : public sentencepiece::SentenceIterator {
 public:
  explicit Blocks(std::vector<std::string> blocks) : blocks_(std::move(blocks)) { load(); }
  bool done() const override { return at_ >= blocks_.size(); }
  void Next() override {
    ++at_;
    load();
  }
  const std::string& value() const override { return current_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  void load() {
    if (!done()) current_ = sanitized(blocks_[at_]);
  }
  std::vector<std::string> blocks_;
  std::size_t at_ = 0;
  std::string current_;
};

std::unordered_map<std::string, std::string> settings(const TokenizerTraining& options) {
  return {{"model_type", options.model_type},
          {"vocab_size", std::to_string(options.vocab_size)},
          {"character_coverage", exact_number(options.character_coverage)},
          {"split_digits", options.split_digits ? "true" : "false"},
          {"byte_fallback", "true"},
          {"normalization_rule_name", "identity"},
          {"add_dummy_prefix", "false"},
          {"remove_extra_whitespaces", "false"},
          {"allow_whitespace_only_pieces", "true"},
          {"max_sentence_length", "65536"},
          {"input_sentence_size", "0"},
          {"num_threads", "2"},
          {"minloglevel", "2"}};
}

}  // namespace

std::string train_sentencepiece(std::vector<std::string> blocks, const TokenizerTraining& options) {
  std::erase_if(blocks, [](const std::string& block) { return block.empty(); });
  if (blocks.empty()) throw DataError("expected text to train a tokenizer on, found none");
  Blocks sentences(std::move(blocks));
  std::string model;
  const auto status =
      sentencepiece::SentencePieceTrainer::Train(settings(options), &sentences, &model);
  if (!status.ok()) {
    throw DataError(format("cannot train a tokenizer of {} pieces on this text: {}; give more text, "
                           "or another --vocab-size",
                           options.vocab_size, status.ToString()));
  }
  return model;
}

}  // namespace moe::data
