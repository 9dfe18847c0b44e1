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

/// The library's BPE trainer counts characters in 16 bits, and crashes past 32767 without a space.
constexpr std::size_t kLongestSentence = 16384;

/// The sentence at `at` of a block. What the library cannot take becomes a line end, which no piece
/// joins with letters.
std::string sentence_of(const std::string& block, std::size_t& at) {
  std::string text;
  while (at < block.size() && text.size() < kLongestSentence) {
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
  bool done() const override { return current_.empty(); }
  void Next() override { load(); }
  const std::string& value() const override { return current_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  void load() {
    while (block_ < blocks_.size() && at_ == blocks_[block_].size()) {
      ++block_;
      at_ = 0;
    }
    current_.clear();
    if (block_ < blocks_.size()) current_ = sentence_of(blocks_[block_], at_);
  }
  std::vector<std::string> blocks_;
  std::size_t block_ = 0;
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
          {"max_sentence_length", std::to_string(2 * kLongestSentence)},
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
