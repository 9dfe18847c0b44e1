#include "run/tokenizer_files.h"

#include <filesystem>

namespace moe::run {

std::map<std::string, Path> save_tokenizer_files(const data::Tokenizer& tokenizer,
                                                 const Path& folder) {
  const Path files = folder / "tokenizer";
  std::filesystem::create_directories(files);
  std::map<std::string, Path> attachments;
  for (const Path& path : data::save_tokenizer(tokenizer, files)) {
    attachments[path.filename().string()] = path;
  }
  return attachments;
}

std::shared_ptr<const data::Tokenizer> tokenizer_of(const checkpoint::Checkpoint& checkpoint) {
  for (const auto& file : checkpoint.manifest().attachments) {
    if (file.name == "tokenizer.name") return data::load_tokenizer(checkpoint.path().string());
  }
  return nullptr;
}

}  // namespace moe::run
