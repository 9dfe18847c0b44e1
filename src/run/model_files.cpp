#include "run/model_files.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "checkpoint/durable.h"
#include "interop/hf_config.h"
#include "run/exported_tokenizer.h"

namespace moe::run {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kLargestFile = std::uint64_t{256} << 20;
constexpr const char* kGeneration = "generation_config.json";
constexpr const char* kName = "tokenizer.name";

constexpr std::array kCarried{
    "tokenizer.model",  "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json",     "merges.txt",            "chat_template.jinja",
    "chat_template.json", kGeneration};

/// Lenient: these files only say how to generate.
Json parsed(const std::string& text, const std::string& where) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_object()) return json;
  log_warning(format("{}: expected a JSON object; its token ids are not known", where));
  return Json::object();
}

bool is_id(const Json& value) { return value.is_number_integer() && value.get<std::int64_t>() >= 0; }

/// The token ids of a config.json as a generation_config.json; "" where it has none.
std::string generation_from(const Json& config) {
  Json generation{{"_from_model_config", true}};
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    if (config.contains(key) && !config[key].is_null()) generation[key] = config[key];
  }
  return generation.size() == 1 ? "" : generation.dump(2) + "\n";
}

/// Tokenizers are loaded from folders.
struct TemporaryFolder {
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "moe-tokenizer-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw DataError(name + ": cannot create the folder");
    path = name;
  }
  ~TemporaryFolder() { checkpoint::remove_quietly(path); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  Path path;
};

std::string generation_for(const data::Tokenizer& tokenizer) {
  return Json{{"bos_token_id", tokenizer.bos_id()}, {"eos_token_id", tokenizer.eod_id()}}.dump(2) +
         "\n";
}

}  // namespace

ModelFiles hugging_face_files(const interop::ContainedFolder& folder) {
  ModelFiles files;
  for (const char* name : kCarried) {
    if (folder.contains(name)) files[name] = folder.open(name)->text(kLargestFile);
  }
  if (!files.contains(kGeneration) && folder.contains(interop::kConfigName)) {
    const auto file = folder.open(interop::kConfigName);
    std::string text = generation_from(parsed(file->text(kLargestFile), file->path().string()));
    if (!text.empty()) files[kGeneration] = std::move(text);
  }
  return files;
}

ModelFiles checkpoint_files(const checkpoint::Checkpoint& checkpoint) {
  ModelFiles files;
  for (const auto& record : checkpoint.manifest().attachments) {
    files[record.name] = read_file(checkpoint.path() / record.name, kLargestFile);
  }
  return files;
}

std::shared_ptr<const data::Tokenizer> tokenizer_in(const ModelFiles& files,
                                                    const std::string& where) {
  const bool any = std::ranges::any_of(
      files, [](const auto& file) { return file.first.starts_with("tokenizer."); });
  if (!any) return nullptr;
  try {
    const TemporaryFolder folder;
    for (const auto& [name, contents] : files) write_file_atomically(folder.path / name, contents);
    return data::load_tokenizer(folder.path.string());
  } catch (const Error& error) {
    log_warning(format("{}: its tokenizer is carried along, but not used here: {}", where,
                       error.what()));
    return nullptr;
  }
}

ModelFiles for_checkpoint(ModelFiles files, const std::string& where) {
  if (files.contains(kName)) return files;
  if (const auto tokenizer = tokenizer_in(files, where)) {
    files[kName] = std::string(tokenizer->name()) + "\n";
  }
  return files;
}

ModelFiles for_hugging_face(ModelFiles files, const std::string& where) {
  if (!files.contains(kGeneration)) {
    const auto tokenizer = tokenizer_in(files, where);
    files[kGeneration] = tokenizer ? generation_for(*tokenizer) : "{}\n";
  }
  const auto name = files.find(kName);
  if (name != files.end()) {
    add_tokenizer_files(name->second.substr(0, name->second.find('\n')), files);
    files.erase(kName);
  }
  return files;
}

SpecialIds special_ids(const ModelFiles& files, const std::string& where) {
  const auto found = files.find(kGeneration);
  if (found == files.end()) return {};
  const Json json = parsed(found->second, format("{}: {}", where, kGeneration));
  SpecialIds ids;
  const Json bos = json.value("bos_token_id", Json());
  const Json eos = json.value("eos_token_id", Json());
  if (is_id(bos)) ids.bos = bos.get<std::int64_t>();
  if (is_id(eos)) ids.eos.push_back(eos.get<std::int64_t>());
  if (eos.is_array() && std::ranges::all_of(eos, is_id)) {
    ids.eos = eos.get<std::vector<std::int64_t>>();
  }
  return ids;
}

}  // namespace moe::run
