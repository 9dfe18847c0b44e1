/// Text to token ids and back.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "config/registry.h"

namespace moe::data {

/// @invariant lossless: decode(encode(x)) == x for any bytes, valid UTF-8 or not; the text of a
///   special token is ordinary text. Only a "tokenizer_json" may differ, where its file says so: it finds
///   its added tokens in texts, and normalises.
/// @invariant ids depend on the text alone, never on threads or chunks
/// @thread any
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Its key in the registry: "bytes", "sentencepiece", "tokenizer_json".
  virtual std::string_view name() const = 0;
  virtual std::int64_t vocab_size() const = 0;
  /// Ends every document; comes out of `encode` only where a "tokenizer_json" meets its text.
  virtual std::int32_t eod_id() const = 0;
  /// What the first token of a text is predicted from: the same token, as in a packed stream each
  /// document follows the end of another.
  std::int32_t bos_id() const { return eod_id(); }

  /// Appends the ids of `text`. @cost linear in the text
  virtual void encode(std::string_view text, std::vector<std::int32_t>& ids) const = 0;
  std::vector<std::int32_t> encode(std::string_view text) const;

  /// The bytes that token `id` stands for: "" for special tokens.
  /// @throws DataError if id is not in [0, vocab_size())
  virtual std::string_view token_bytes(std::int32_t id) const = 0;
  /// All of them, joined. @throws DataError as token_bytes
  std::string decode(std::span<const std::int32_t> ids) const;
  /// Bytes that `ids` decode to, without decoding. @throws DataError as token_bytes
  std::int64_t decoded_bytes(std::span<const std::int32_t> ids) const;

  /// A position p <= text.size() such that, whatever follows `text`, encoding [0, p) and then the
  /// rest gives the ids of the whole; 0 when more text is needed. Lets a stream be cut.
  virtual std::size_t safe_cut(std::string_view text) const = 0;

  /// The file that `make_tokenizer(name(), ...)` needs; empty if it needs none.
  virtual std::string model() const = 0;

  /// The files by which others know it, name -> contents: what a folder carries.
  virtual std::map<std::string, std::string> files() const;
};

/// `model`: what `Tokenizer::model` gave; `origin` names the file in errors.
using MakeTokenizer = std::shared_ptr<const Tokenizer> (*)(const std::string& model,
                                                           const std::string& origin);
/// The table: "bytes", "sentencepiece", "tokenizer_json".
const config::Registry<MakeTokenizer>& tokenizers();

/// A tokenizer of the registry, from what `model()` gave; `origin` names the file in errors.
/// @throws DataError(origin, reason), ConfigError for an unknown name
std::shared_ptr<const Tokenizer> make_tokenizer(std::string_view name, const std::string& model,
                                                const std::string& origin);

/// "bytes", or the path of a tokenizer.json or a SentencePiece .model file, or of a folder that holds one
/// of them (made by `save_tokenizer`, or a model of Hugging Face), or the prefix of a token shard.
/// @throws DataError(path, reason)
std::shared_ptr<const Tokenizer> load_tokenizer(const std::string& what);

/// Writes into an existing folder (of a checkpoint): `tokenizer.name`, and the tokenizer's files. Returns
/// what it wrote. @throws DataError(path, reason)
std::vector<Path> save_tokenizer(const Tokenizer& tokenizer, const Path& folder);

}  // namespace moe::data
