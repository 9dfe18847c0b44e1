#include "data/tokenizer_json.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/format.h"
#include "data/bpe/added_tokens.h"
#include "data/bpe/byte_alphabet.h"
#include "data/bpe/cut_places.h"
#include "data/bpe/description.h"
#include "data/bpe/merges.h"
#include "data/bpe/nfc.h"
#include "data/bpe/pre_tokenizer.h"
#include "data/bpe/subject.h"
#include "data/bpe/tokenizer_files.h"
#include "data/bpe/word_cache.h"

namespace moe::data {
namespace {

using namespace bpe;

/// Longer words are encoded in parts, so that no text takes memory without bounds.
constexpr std::size_t kLongestWord = std::size_t{1} << 20;

/// The added tokens that are looked for before the text is normalised, or after.
AddedTokens select(const std::vector<AddedToken>& all, const Nfc* nfc, bool normalized) {
  std::vector<AddedToken> chosen;
  for (AddedToken token : all) {
    if (token.normalized != normalized) continue;
    if (normalized && nfc != nullptr) token.content = nfc->normal_form(token.content);
    chosen.push_back(std::move(token));
  }
  return AddedTokens(std::move(chosen));
}

class JsonTokenizer final : public Tokenizer {
 public:
  JsonTokenizer(TokenizerFiles files, Description description, const std::string& origin)
      : files_(std::move(files)),
        origin_(origin),
        eod_(end_of_document(files_, description, origin)),
        cuts_(description.steps, description.added),
        words_(std::move(description.steps)),
        merger_(description.vocabulary.byte_ids, description.vocabulary.merges) {
    if (description.nfc) nfc_.emplace();
    before_ = select(description.added, nfc_ ? &*nfc_ : nullptr, false);
    after_ = select(description.added, nfc_ ? &*nfc_ : nullptr, true);
    bytes_ = std::move(description.vocabulary.bytes);
    if (description.vocabulary.ignore_merges) keep_whole_words(description.vocabulary);
    std::string& end = bytes_[static_cast<std::size_t>(eod_)];
    complete(files_, end);
    end.clear();
  }

  std::string_view name() const override { return "tokenizer_json"; }
  std::int64_t vocab_size() const override { return static_cast<std::int64_t>(bytes_.size()); }
  std::int32_t eod_id() const override { return eod_; }
  std::string model() const override { return pack(files_); }
  std::map<std::string, std::string> files() const override { return files_; }
  std::size_t safe_cut(std::string_view text) const override { return cuts_.last(text); }

  std::string_view token_bytes(std::int32_t id) const override {
    if (id < 0 || id >= vocab_size()) {
      throw DataError(format("{}: expected a token in [0, {}], found {}", origin_, vocab_size() - 1,
                             id));
    }
    return bytes_[static_cast<std::size_t>(id)];
  }

  using Tokenizer::encode;
  void encode(std::string_view text, std::vector<std::int32_t>& ids) const override {
    Pattern::Scratch scratch;
    for_each_segment(before_, text, ids, [&](std::string_view raw) {
      std::string normal;
      if (nfc_ && !nfc_->is_normal(raw)) raw = normal = nfc_->normal_form(raw);
      for_each_segment(after_, raw, ids,
                       [&](std::string_view part) { encode_part(part, scratch, ids); });
    });
  }

 private:
  /// Words that are tokens, as bytes; the library looks for them by their spelling.
  void keep_whole_words(const Vocabulary& vocabulary) {
    for (const auto& [spelling, id] : vocabulary.ids) {
      if (const auto bytes = bytes_of_entry(spelling)) whole_words_.emplace(*bytes, id);
    }
  }

  template <class Encode>
  static void for_each_segment(const AddedTokens& tokens, std::string_view text,
                               std::vector<std::int32_t>& ids, const Encode& encode) {
    if (tokens.empty()) {
      if (!text.empty()) encode(text);
      return;
    }
    std::vector<Segment> segments;
    tokens.cut(text, segments);
    for (const Segment& segment : segments) {
      if (segment.id >= 0) {
        ids.push_back(segment.id);
      } else {
        encode(segment.text);
      }
    }
  }

  /// Text without added tokens.
  void encode_part(std::string_view text, Pattern::Scratch& scratch,
                   std::vector<std::int32_t>& ids) const {
    Subject subject(text, odd_);
    std::string spaced;
    for (const Word& word : words_.words(subject.shape(), scratch)) {
      std::string_view bytes = subject.bytes(word.begin, word.end);
      if (word.spaced) bytes = spaced.assign(" ").append(bytes);
      for (; bytes.size() > kLongestWord; bytes.remove_prefix(kLongestWord)) {
        encode_word(bytes.substr(0, kLongestWord), ids);
      }
      encode_word(bytes, ids);
    }
  }

  void encode_word(std::string_view word, std::vector<std::int32_t>& ids) const {
    if (cache_.append(word, ids)) return;
    const std::size_t before = ids.size();
    const auto whole = whole_words_.empty() ? whole_words_.end() : whole_words_.find(std::string(word));
    if (whole != whole_words_.end()) {
      ids.push_back(whole->second);
    } else {
      merger_.append(word, ids);
    }
    cache_.insert(word, std::span(ids).subspan(before));
  }

  TokenizerFiles files_;
  std::string origin_;
  std::int32_t eod_;
  CutPlaces cuts_;
  PreTokenizer words_;
  Merger merger_;
  OddCharacters odd_;
  std::optional<Nfc> nfc_;
  AddedTokens before_;
  AddedTokens after_;
  std::vector<std::string> bytes_;  // by id
  std::unordered_map<std::string, std::int32_t> whole_words_;
  mutable WordCache cache_;
};

std::shared_ptr<const Tokenizer> make(TokenizerFiles files, const std::string& origin) {
  Description description = read_description(files.at(kTokenizerFile), origin);
  return std::make_shared<JsonTokenizer>(std::move(files), std::move(description), origin);
}

}  // namespace

std::shared_ptr<const Tokenizer> make_json_tokenizer(const std::string& model,
                                                     const std::string& origin) {
  return make(unpack(model, origin), origin);
}

std::shared_ptr<const Tokenizer> load_json_tokenizer(const Path& path) {
  return make(read_tokenizer_files(path), path.string());
}

}  // namespace moe::data
