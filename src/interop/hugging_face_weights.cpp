#include "interop/hugging_face_weights.h"

#include <set>

#include "base/error.h"
#include "base/format.h"
#include "interop/contained_file.h"
#include "interop/weights_index.h"

namespace moe::interop {
namespace {

constexpr std::uint64_t kMaxIndexBytes = 200'000'000;

WeightsIndex read_index(const ContainedFolder& folder) {
  const auto file = folder.open(kIndexName);
  return parse_weights_index(file->text(kMaxIndexBytes), file->path().string());
}

std::uint64_t bytes_in(const SafetensorsFile& shard) {
  const auto& entries = shard.header().entries;
  return entries.empty() ? 0 : entries.back().end;
}

/// Both directions: mapped here and held, held and mapped here.
void check_shard(const SafetensorsFile& shard, const std::string& file, const WeightsIndex& index) {
  for (const std::string& name : shard.names()) {
    const auto mapped = index.file_of_tensor.find(name);
    if (mapped == index.file_of_tensor.end() || mapped->second != file) {
      throw CheckpointError(
          format("{}: holds tensor '{}', which the index puts {}", shard.description(), name,
                 mapped == index.file_of_tensor.end() ? "nowhere" : "into " + mapped->second));
    }
  }
  for (const auto& [name, where] : index.file_of_tensor) {
    if (where == file && !shard.contains(name)) {
      throw CheckpointError(
          format("{}: lacks tensor '{}', which the index puts here", shard.description(), name));
    }
  }
}

void check_total(const WeightsIndex& index,
                 const std::vector<std::unique_ptr<SafetensorsFile>>& shards, const Path& folder) {
  std::uint64_t total = 0;
  for (const auto& shard : shards) total += bytes_in(*shard);
  if (index.total_size && *index.total_size != total) {
    throw CheckpointError(format("{}: total_size is {}, the tensors have {} bytes",
                                 (folder / kIndexName).string(), *index.total_size, total));
  }
}

}  // namespace

HuggingFaceWeights::HuggingFaceWeights(const Path& folder, const WeightsOptions& options)
    : folder_(folder) {
  const ContainedFolder opened(folder, options.follow_links);
  if (opened.contains(kSingleFileName)) {
    files_ = {kSingleFileName};
    shards_.push_back(std::make_unique<SafetensorsFile>(opened.open(kSingleFileName)));
  } else if (opened.contains(kIndexName)) {
    const WeightsIndex index = read_index(opened);
    std::set<std::string> files;
    for (const auto& [name, file] : index.file_of_tensor) files.insert(file);
    files_.assign(files.begin(), files.end());
    for (const std::string& file : files_) {
      shards_.push_back(std::make_unique<SafetensorsFile>(opened.open(file)));
      check_shard(*shards_.back(), file, index);
    }
    check_total(index, shards_, folder);
  } else {
    throw CheckpointError(format("{}: expected {} or {}; other formats of weights are not read",
                                 folder.string(), kSingleFileName, kIndexName));
  }
  for (const auto& shard : shards_) {
    for (const std::string& name : shard->names()) shard_of_[name] = shard.get();
  }
  for (const auto& [name, shard] : shard_of_) names_.push_back(name);
}

const checkpoint::TensorInfo* HuggingFaceWeights::find(const std::string& name) const {
  const auto found = shard_of_.find(name);
  return found == shard_of_.end() ? nullptr : found->second->find(name);
}

std::optional<std::string> HuggingFaceWeights::metadata(const std::string& key) const {
  return shards_.empty() ? std::nullopt : shards_.front()->metadata(key);
}

std::string HuggingFaceWeights::place_of(const std::string& name, std::int64_t element) const {
  return shard_of_.at(name)->place_of(name, element);
}

void HuggingFaceWeights::read_slice(const std::string& name, const checkpoint::TensorInfo&,
                                    const Slice& slice, const View& out) const {
  shard_of_.at(name)->read(name, slice, out);
}

}  // namespace moe::interop
