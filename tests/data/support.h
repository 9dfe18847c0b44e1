/// Helpers of the data tests: scratch folders, shards and text that tries to break things.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <fstream>

#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "data/token_shard_writer.h"

namespace moe::data::testing {

/// Writes without syncing: a new file, as truncating an old one is slow on some file systems.
inline void write_quickly(const Path& path, const std::string& contents) {
  std::filesystem::remove(path);
  std::ofstream(path, std::ios::binary) << contents;
}

/// A unique folder, removed with everything in it.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = ::testing::TempDir() + "moe-data-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw DataError(name + ": cannot create");
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  Path operator/(const std::string& name) const { return path_ / name; }
  const Path& path() const { return path_; }
  std::string write(const std::string& name, const std::string& contents) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    write_quickly(path_ / name, contents);
    return (path_ / name).string();
  }
  /// Names of all files, sorted.
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path_)) {
      if (entry.is_regular_file()) names.push_back(entry.path().lexically_relative(path_).string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  Path path_;
};

/// The message of the error that `body` throws, or "" if it throws none.
template <class E = DataError, class Body>
std::string message_of(const Body& body) {
  try {
    body();
  } catch (const E& error) {
    return error.what();
  }
  return {};
}

using Documents = std::vector<std::vector<std::int32_t>>;

/// Writes a shard whose documents end with `eod` as given (nothing is appended).
inline Path write_shard(const Path& prefix, const Documents& documents, std::int64_t vocab_size,
                        std::int32_t eod = -1) {
  TokenShardWriter writer(prefix, vocab_size);
  for (const auto& document : documents) {
    writer.append(document);
    writer.end_document();
  }
  ShardInfo info;
  info.tokenizer = "bytes";
  info.vocab_size = vocab_size;
  info.eod = eod;
  writer.finish(std::move(info));
  return prefix;
}

}  // namespace moe::data::testing
