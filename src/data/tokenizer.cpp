#include "data/tokenizer.h"

#include "base/error.h"
#include "base/format.h"
#include "data/bytes_tokenizer.h"
#include "data/sentencepiece_tokenizer.h"
#include "data/shard_info.h"
#include "data/token_format.h"

namespace moe::data {
namespace {

constexpr const char* kNameFile = "tokenizer.name";
constexpr const char* kModelFile = "tokenizer.model";
constexpr std::uint64_t kLargestName = 256;
constexpr std::uint64_t kLargestModel = std::uint64_t{256} << 20;

std::string read_if_present(const Path& path) {
  return std::filesystem::exists(path) ? read_file(path, kLargestModel) : std::string{};
}

std::shared_ptr<const Tokenizer> load_from_folder(const Path& folder) {
  const Path model = folder / kModelFile;
  const Path name_file = folder / kNameFile;
  if (!std::filesystem::exists(name_file)) {
    return make_tokenizer("sentencepiece", read_file(model, kLargestModel), model.string());
  }
  std::string name = read_file(name_file, kLargestName);
  while (!name.empty() && name.back() == '\n') name.pop_back();
  return make_tokenizer(name, read_if_present(model), model.string());
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

const config::Registry<MakeTokenizer>& tokenizers() {
  static const config::Registry<MakeTokenizer> table(
      "tokenizer", {{"bytes", &make_bytes_tokenizer}, {"sentencepiece", &make_sentencepiece_tokenizer}});
  return table;
}

std::shared_ptr<const Tokenizer> make_tokenizer(std::string_view name, const std::string& model,
                                                const std::string& origin) {
  return tokenizers().find(name)(model, origin);
}

std::shared_ptr<const Tokenizer> load_tokenizer(const std::string& what) {
  if (what == "bytes") return make_tokenizer(what, {}, what);
  if (std::filesystem::is_directory(what)) return load_from_folder(what);
  if (std::filesystem::exists(what)) {
    return make_tokenizer("sentencepiece", read_file(what, kLargestModel), what);
  }
  const ShardPaths shard = shard_paths(what);
  if (std::filesystem::exists(shard.info)) {
    const ShardInfo info = read_shard_info(shard.info);
    return make_tokenizer(info.tokenizer, read_if_present(shard.tokenizer),
                          shard.tokenizer.string());
  }
  throw DataError(format("{}: no such tokenizer: expected \"bytes\", a SentencePiece .model file, a "
                         "folder with {}, or the prefix of a token shard",
                         what, kModelFile));
}

void save_tokenizer(const Tokenizer& tokenizer, const Path& folder) {
  const std::string model = tokenizer.model();
  if (!model.empty()) write_file_atomically(folder / kModelFile, model);
  write_file_atomically(folder / kNameFile, std::string(tokenizer.name()) + "\n");
}

}  // namespace moe::data
