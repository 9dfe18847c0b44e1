#include "data/bpe/vocabulary_json.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/format.h"
#include "data/bpe/byte_alphabet.h"

namespace moe::data::bpe {
namespace {

constexpr std::size_t kLongestContent = 1024;

/// A token as it is shown: no control characters, not too long.
std::string shown_token(std::string_view token) {
  std::string text;
  for (const char c : token.substr(0, 40)) text += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  return "\"" + text + (token.size() > 40 ? "...\"" : "\"");
}

JsonView entry(const JsonView& vocab, const std::string& token, const nlohmann::json& id) {
  return {id, vocab.where() + "[" + shown_token(token) + "]"};
}

void read_vocab(const JsonView& vocab, Vocabulary& into) {
  const auto& object = vocab.require_object().json();
  if (object.empty() || object.size() > kLargestVocabulary) {
    vocab.fail(format("1 to {} tokens", kLargestVocabulary));
  }
  into.ids.reserve(object.size());
  std::vector<const std::string*> owners;
  for (const auto& [token, id] : object.items()) {
    const JsonView where = entry(vocab, token, id);
    const std::int32_t number = where.integer(0, kLargestVocabulary - 1);
    const auto at = static_cast<std::size_t>(number);
    if (owners.size() <= at) owners.resize(at + 1);
    const auto inserted = into.ids.emplace(token, number).first;
    if (owners[at] != nullptr) where.fail(format("an id of its own: {} has it too", shown_token(*owners[at])));
    owners[at] = &inserted->first;
  }
  into.bytes.resize(owners.size());
  for (const auto& [token, id] : into.ids) {
    into.bytes[static_cast<std::size_t>(id)] = bytes_of_entry(token).value_or(token);
  }
}

void find_bytes(const JsonView& vocab, Vocabulary& vocabulary) {
  int missing = 0;
  std::string first;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string entry = entry_of_bytes(std::string(1, static_cast<char>(byte)));
    const auto found = vocabulary.ids.find(entry);
    if (found != vocabulary.ids.end()) {
      vocabulary.byte_ids[static_cast<std::size_t>(byte)] = found->second;
    } else if (missing++ == 0) {
      first = format("byte {:#04x} (\"{}\")", static_cast<unsigned>(byte), entry);
    }
  }
  if (missing == 0) return;
  throw DataError(format(
      "{}: expected a token for each of the 256 bytes, found {}; {} is missing: such a tokenizer cannot represent every "
      "text; train it with initial_alphabet=ByteLevel.alphabet()",
      vocab.where(), 256 - missing, first));
}

/// "a b" or ["a", "b"].
std::pair<std::string, std::string> pair_of(const JsonView& merge) {
  const char* expected = "two tokens, as \"a b\" or [\"a\", \"b\"]";
  if (merge.json().is_array()) {
    if (merge.json().size() != 2) merge.fail(expected);
    return {merge.at(std::size_t{0}).text(), merge.at(std::size_t{1}).text()};
  }
  const std::string text = merge.text();
  const std::size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) merge.fail(expected);
  return {text.substr(0, space), text.substr(space + 1)};
}

std::int32_t token_of(const JsonView& merge, const Vocabulary& vocabulary, const std::string& token) {
  const auto found = vocabulary.ids.find(token);
  if (found == vocabulary.ids.end()) {
    merge.fail(format("tokens of the vocabulary: {} is not in model.vocab", shown_token(token)));
  }
  return found->second;
}

void read_merges(const JsonView& list, Vocabulary& vocabulary) {
  const std::size_t count = list.require_array().json().size();
  vocabulary.merges.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const JsonView merge = list.at(i);
    // Old files begin with a comment.
    if (merge.json().is_string() && merge.text().starts_with("#version")) continue;
    const auto [left, right] = pair_of(merge);
    vocabulary.merges.push_back({token_of(merge, vocabulary, left), token_of(merge, vocabulary, right),
                                 token_of(merge, vocabulary, left + right)});
  }
}

void refuse_other_models(const JsonView& model) {
  if (const auto type = model.find("type"); type && type->text() != "BPE") type->fail("\"BPE\"");
  // What changes no token of a text whose bytes are all known: unk_token, fuse_unk, byte_fallback.
  model.allow_only({"type", "vocab", "merges", "ignore_merges", "unk_token", "fuse_unk", "byte_fallback",
                    "dropout"});
  if (const auto dropout = model.find("dropout"); dropout && dropout->json() != 0.0) {
    dropout->fail("null: dropout makes tokens random");
  }
}

/// The id that the library gives the token: ids in the file are only a check.
std::int32_t id_of(const AddedToken& token, const Vocabulary& vocabulary, std::int32_t next) {
  const auto found = vocabulary.ids.find(token.content);
  return found != vocabulary.ids.end() ? found->second : next;
}

AddedToken read_added_token(const JsonView& item) {
  item.allow_only({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
  AddedToken token;
  token.content = item.text("content");
  if (token.content.empty() || token.content.size() > kLongestContent) {
    item.at("content").fail(format("a text of 1 to {} bytes", kLongestContent));
  }
  token.id = item.at("id").integer(0, kLargestVocabulary - 1);
  token.special = item.boolean("special", false);
  token.single_word = item.boolean("single_word", false);
  token.lstrip = item.boolean("lstrip", false);
  token.rstrip = item.boolean("rstrip", false);
  token.normalized = item.boolean("normalized", !token.special);
  return token;
}

}  // namespace

Vocabulary read_model(const JsonView& model) {
  refuse_other_models(model);
  Vocabulary vocabulary;
  const JsonView vocab = model.at("vocab");
  read_vocab(vocab, vocabulary);
  find_bytes(vocab, vocabulary);
  read_merges(model.at("merges"), vocabulary);
  vocabulary.ignore_merges = model.boolean("ignore_merges", false);
  return vocabulary;
}

std::vector<AddedToken> read_added_tokens(const JsonView& list, Vocabulary& vocabulary) {
  std::vector<AddedToken> tokens;
  std::unordered_set<std::string> contents;
  auto next = static_cast<std::int32_t>(vocabulary.ids.size());
  for (std::size_t i = 0; i < list.require_array().json().size(); ++i) {
    const JsonView item = list.at(i).require_object();
    AddedToken token = read_added_token(item);
    if (!contents.insert(token.content).second) {
      item.at("content").fail("another text than all tokens before");
    }
    const std::int32_t id = id_of(token, vocabulary, next);
    if (token.id != id) {
      item.at("id").fail(format("{}, {}, for {}", id,
                                id == next ? "the next free one" : "as in model.vocab",
                                shown_token(token.content)));
    }
    if (id == next) ++next;
    const auto size = static_cast<std::size_t>(id) + 1;
    if (vocabulary.bytes.size() < size) vocabulary.bytes.resize(size);
    vocabulary.bytes[size - 1] = token.content;
    tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace moe::data::bpe
