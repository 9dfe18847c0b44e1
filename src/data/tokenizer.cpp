#include "data/tokenizer.h"

#include <utility>

#include "base/error.h"
#include "base/format.h"
#include "data/bytes_tokenizer.h"
#include "data/sentencepiece_tokenizer.h"
#include "data/shard_info.h"
#include "data/token_format.h"
#include "data/tokenizer_json.h"

namespace moe::data {
namespace {

constexpr const char* kNameFile = "tokenizer.name";
constexpr const char* kModelFile = "tokenizer.model";
constexpr const char* kJsonFile = "tokenizer.json";
constexpr std::uint64_t kLargestName = 256;
constexpr std::uint64_t kLargestModel = std::uint64_t{256} << 20;

std::string read_if_present(const Path& path) {
  return std::filesystem::exists(path) ? read_file(path, kLargestModel) : std::string{};
}

std::shared_ptr<const Tokenizer> load_model(const Path& model) {
  return make_tokenizer("sentencepiece", read_file(model, kLargestModel), model.string());
}

/// A model's folder without our name file. Where both files are, tokenizer.model is SentencePiece's own and
/// tokenizer.json its translation, which is not byte-level.
std::shared_ptr<const Tokenizer> load_from_foreign_folder(const Path& folder) {
  const bool json = std::filesystem::exists(folder / kJsonFile);
  const bool model = std::filesystem::exists(folder / kModelFile);
  if (json && model) {
    try {
      return load_json_tokenizer(folder / kJsonFile);
    } catch (const DataError&) {
      return load_model(folder / kModelFile);
    }
  }
  return json ? load_json_tokenizer(folder / kJsonFile) : load_model(folder / kModelFile);
}

std::shared_ptr<const Tokenizer> load_from_folder(const Path& folder) {
  const Path name_file = folder / kNameFile;
  if (!std::filesystem::exists(name_file)) return load_from_foreign_folder(folder);
  std::string name = read_file(name_file, kLargestName);
  while (!name.empty() && name.back() == '\n') name.pop_back();
  if (name == "tokenizer_json") return load_json_tokenizer(folder / kJsonFile);
  const Path model = folder / kModelFile;
  return make_tokenizer(name, read_if_present(model), model.string());
}

std::shared_ptr<const Tokenizer> load_from_file(const Path& path) {
  return path.extension() == ".json" ? load_json_tokenizer(path) : load_model(path);
}

}  // namespace

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> ids;
  encode(text, ids);
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids) const {
  std::string text;
  for (const std::int32_t id : ids) text += token_bytes(id);
  return text;
}

std::int64_t Tokenizer::decoded_bytes(std::span<const std::int32_t> ids) const {
  std::size_t bytes = 0;
  for (const std::int32_t id : ids) bytes += token_bytes(id).size();
  return static_cast<std::int64_t>(bytes);
}

std::map<std::string, std::string> Tokenizer::files() const {
  std::string contents = model();
  if (contents.empty()) return {};
  return {{kModelFile, std::move(contents)}};
}

const config::Registry<MakeTokenizer>& tokenizers() {
  static const config::Registry<MakeTokenizer> table(
      "tokenizer", {{"bytes", &make_bytes_tokenizer},
                    {"sentencepiece", &make_sentencepiece_tokenizer},
                    {"tokenizer_json", &make_json_tokenizer}});
  return table;
}

std::shared_ptr<const Tokenizer> make_tokenizer(std::string_view name, const std::string& model,
                                                const std::string& origin) {
  return tokenizers().find(name)(model, origin);
}

std::shared_ptr<const Tokenizer> load_tokenizer(const std::string& what) {
  if (what == "bytes") return make_tokenizer(what, {}, what);
  if (std::filesystem::is_directory(what)) return load_from_folder(what);
  if (std::filesystem::exists(what)) return load_from_file(what);
  const ShardPaths shard = shard_paths(what);
  if (std::filesystem::exists(shard.info)) {
    const ShardInfo info = read_shard_info(shard.info);
    return make_tokenizer(info.tokenizer, read_if_present(shard.tokenizer),
                          shard.tokenizer.string());
  }
  throw DataError(format("{}: no such tokenizer: expected \"bytes\", a tokenizer.json, a SentencePiece "
                         ".model file, a folder with {} or {}, or the prefix of a token shard",
                         what, kJsonFile, kModelFile));
}

std::vector<Path> save_tokenizer(const Tokenizer& tokenizer, const Path& folder) {
  auto files = tokenizer.files();
  files[kNameFile] = std::string(tokenizer.name()) + "\n";
  std::vector<Path> written;
  for (const auto& [name, contents] : files) {
    written.push_back(folder / name);
    write_file_atomically(written.back(), contents);
  }
  return written;
}

}  // namespace moe::data
