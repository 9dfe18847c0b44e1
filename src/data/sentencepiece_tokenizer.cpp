#include "data/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <array>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/format.h"
#include "data/sentencepiece_model.h"
#include "data/word_cutter.h"

namespace moe::data {
namespace {

constexpr std::string_view kSpaceMarkUtf8 = "\xe2\x96\x81";
constexpr std::size_t kLongestCachedWord = 64;
constexpr std::size_t kMostCachedWords = std::size_t{1} << 19;  // some 60 MB

std::string text_of(const Piece& piece) {
  switch (piece.type) {
    case PieceType::Unknown:
    case PieceType::Control: return {};
    case PieceType::Byte: return std::string(1, static_cast<char>(byte_of_piece(piece.text)));
    default: break;
  }
  std::string text = piece.text;
  for (std::size_t at = 0; (at = text.find(kSpaceMarkUtf8, at)) != std::string::npos; ++at) {
    text.replace(at, kSpaceMarkUtf8.size(), " ");
  }
  return text;
}

struct ViewHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};

/// The ids of words met before, by all threads; natural text repeats its words, and the model is slow.
class WordCache {
 public:
  /// Appends the ids of a known word.
  bool append(std::string_view word, std::vector<std::int32_t>& ids) const {
    const Shard& shard = shards_[shard_index(word)];
    const std::scoped_lock lock(shard.mutex);
    const auto found = shard.entries.find(word);
    if (found == shard.entries.end()) return false;
    const auto begin = shard.ids.begin() + found->second.begin;
    ids.insert(ids.end(), begin, begin + found->second.count);
    return true;
  }
  void insert(std::string_view word, const std::vector<std::int32_t>& ids) {
    if (word.size() > kLongestCachedWord) return;
    Shard& shard = shards_[shard_index(word)];
    const std::scoped_lock lock(shard.mutex);
    if (shard.entries.size() >= kMostCachedWords / kShards) return;
    const Entry entry{static_cast<std::int32_t>(shard.ids.size()),
                      static_cast<std::int32_t>(ids.size())};
    if (!shard.entries.emplace(word, entry).second) return;
    shard.ids.insert(shard.ids.end(), ids.begin(), ids.end());
  }

 private:
  static constexpr std::size_t kShards = 256;
  struct Entry {
    std::int32_t begin, count;  // of ids
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::string, Entry, ViewHash, std::equal_to<>> entries;
    std::vector<std::int32_t> ids;
  };
  static std::size_t shard_index(std::string_view word) {
    // Other bits than those that choose a bucket.
    return ViewHash{}(word) >> (8 * sizeof(std::size_t) - 8);
  }
  std::array<Shard, kShards> shards_;
};

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(std::string model, const SentencePieceModel& parsed,
                         const std::string& origin)
      : model_(std::move(model)), origin_(origin), cutter_(joinable(parsed)) {
    const auto status = processor_.LoadFromSerializedProto(parsed.lossless);
    if (!status.ok()) {
      throw DataError(format("{}: SentencePiece refuses the model: {}", origin, status.ToString()));
    }
    for (std::size_t id = 0; id < parsed.pieces.size(); ++id) {
      const Piece& piece = parsed.pieces[id];
      texts_.push_back(text_of(piece));
      if (piece.type == PieceType::Byte) {
        byte_ids_[static_cast<std::size_t>(byte_of_piece(piece.text))] =
            static_cast<std::int32_t>(id);
      }
      if (piece.type == PieceType::Control && is_end(piece.text)) {
        eod_ = static_cast<std::int32_t>(id);
      }
    }
    if (eod_ < 0) {
      throw DataError(format("{}: expected a control piece </s> or <|endoftext|> that ends documents, "
                             "found none",
                             origin));
    }
  }

  std::string_view name() const override { return "sentencepiece"; }
  std::int64_t vocab_size() const override { return static_cast<std::int64_t>(texts_.size()); }
  std::int32_t eod_id() const override { return eod_; }
  std::string model() const override { return model_; }
  std::size_t safe_cut(std::string_view text) const override { return cutter_.safe_cut(text); }

  std::string_view token_bytes(std::int32_t id) const override {
    if (id < 0 || id >= vocab_size()) {
      throw DataError(format("{}: expected a token in [0, {}], found {}", origin_, vocab_size() - 1,
                             id));
    }
    return texts_[static_cast<std::size_t>(id)];
  }

  using Tokenizer::encode;
  void encode(std::string_view text, std::vector<std::int32_t>& ids) const override {
    for (std::size_t at = 0; at < text.size();) {
      const WordCutter::Word word = cutter_.next(text, at);
      const std::string_view part = text.substr(at, word.size);
      at += word.size;
      if (word.raw) {
        append_bytes(part, ids);
      } else if (!cache_.append(part, ids)) {
        const std::vector<std::int32_t> fresh = encode_word(part);
        ids.insert(ids.end(), fresh.begin(), fresh.end());
        cache_.insert(part, fresh);
      }
    }
  }

 private:
  static bool is_end(const std::string& text) {
    return text == "</s>" || text == "<|endoftext|>" || text == "<eos>";
  }

  static std::vector<std::string> joinable(const SentencePieceModel& parsed) {
    std::vector<std::string> pieces;
    for (const Piece& piece : parsed.pieces) {
      if (piece.type == PieceType::Normal || piece.type == PieceType::UserDefined ||
          piece.type == PieceType::Unused) {
        pieces.push_back(piece.text);
      }
    }
    return pieces;
  }

  void append_bytes(std::string_view bytes, std::vector<std::int32_t>& ids) const {
    for (const char byte : bytes) {
      ids.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
    }
  }

  std::vector<std::int32_t> encode_word(std::string_view word) const {
    std::vector<int> ids;
    const auto status = processor_.Encode(std::string(word), &ids);
    // Whatever a model does to its text, what it does not give back is kept as bytes.
    if (!status.ok() || !gives_back(ids, word)) {
      ids.clear();
      append_bytes(word, ids);
    }
    return ids;
  }

  bool gives_back(const std::vector<int>& ids, std::string_view word) const {
    for (const int id : ids) {
      if (id < 0 || id >= vocab_size()) return false;
      const std::string& text = texts_[static_cast<std::size_t>(id)];
      if (!word.starts_with(text)) return false;
      word.remove_prefix(text.size());
    }
    return word.empty();
  }

  std::string model_;
  std::string origin_;
  WordCutter cutter_;
  sentencepiece::SentencePieceProcessor processor_;
  std::vector<std::string> texts_;
  std::array<std::int32_t, 256> byte_ids_{};
  std::int32_t eod_ = -1;
  mutable WordCache cache_;
};

}  // namespace

std::shared_ptr<const Tokenizer> make_sentencepiece_tokenizer(const std::string& model,
                                                              const std::string& origin) {
  const SentencePieceModel parsed = read_sentencepiece_model(model, origin);
  return std::make_shared<SentencePieceTokenizer>(model, parsed, origin);
}

}  // namespace moe::data
