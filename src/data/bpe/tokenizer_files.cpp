#include "data/bpe/tokenizer_files.h"

#include <array>
#include <optional>

#include "base/error.h"
#include "base/format.h"
#include "data/bpe/json_view.h"

namespace moe::data::bpe {
namespace {

/// Gemma's, the largest known, has 33 MB; parsed, a file takes up to eight times its size.
constexpr std::uint64_t kLargestFile = std::uint64_t{128} << 20;
constexpr std::array kCompanions{"tokenizer_config.json", "special_tokens_map.json"};

/// What ends documents where no config says it.
constexpr std::array kKnownEnds{"<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>",
                                "<|end▁of▁sentence|>", "<｜end▁of▁sentence｜>", "<|EOT|>"};

std::string sibling(const std::string& origin, const char* name) {
  return (Path(origin).parent_path() / name).string();
}

/// `eos_token` is a text, or an object that holds one.
std::optional<std::string> eos_token(const JsonView& config) {
  const auto token = config.find("eos_token");
  if (!token) return std::nullopt;
  return token->json().is_object() ? token->text("content") : token->text();
}

}  // namespace

TokenizerFiles read_tokenizer_files(const Path& path) {
  TokenizerFiles files{{kTokenizerFile, read_file(path, kLargestFile)}};
  if (path.filename() != kTokenizerFile) return files;
  for (const char* name : kCompanions) {
    const Path companion = path.parent_path() / name;
    if (std::filesystem::exists(companion)) files[name] = read_file(companion, kLargestFile);
  }
  return files;
}

std::string pack(const TokenizerFiles& files) { return nlohmann::json(files).dump(1) + "\n"; }

TokenizerFiles unpack(const std::string& model, const std::string& origin) {
  const nlohmann::json json = parse_json(model, origin);
  if (!json.is_object() || !json.contains(kTokenizerFile)) return {{kTokenizerFile, model}};
  const JsonView view = JsonView::of_file(json, origin);
  view.allow_only({kTokenizerFile, kCompanions[0], kCompanions[1]});
  TokenizerFiles files;
  for (const auto& [name, contents] : json.items()) files[name] = view.at(name.c_str()).text();
  return files;
}

void complete(TokenizerFiles& files, const std::string& eos_token) {
  if (files.contains(kCompanions[0])) return;
  const nlohmann::ordered_json config{{"tokenizer_class", "PreTrainedTokenizerFast"},
                                      {"eos_token", eos_token}};
  files[kCompanions[0]] = config.dump(2) + "\n";
}

std::int32_t end_of_document(const TokenizerFiles& files, const Description& description,
                             const std::string& origin) {
  std::optional<std::int32_t> chosen;
  for (const char* name : kCompanions) {
    const auto file = files.find(name);
    if (file == files.end()) continue;
    const std::string where = sibling(origin, name);
    const nlohmann::json json = parse_json(file->second, where);
    const JsonView config = JsonView::of_file(json, where);
    const auto token = eos_token(config);
    if (!token || chosen) continue;
    chosen = description.find(*token);
    if (!chosen) config.at("eos_token").fail("a token of " + origin);
  }
  if (chosen) return *chosen;
  for (const char* token : kKnownEnds) {
    if (const auto id = description.find(token)) return *id;
  }
  throw DataError(format(
      "{}: expected a token that ends documents: \"eos_token\" in tokenizer_config.json beside it, or one of {} among the "
      "tokens; found neither. HINT: write {{\"eos_token\": \"...\"}} into tokenizer_config.json",
      origin, fmt::join(kKnownEnds, ", ")));
}

}  // namespace moe::data::bpe
