/// The weights of a Hugging Face model folder as a TensorSource over the names on disk.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "interop/safetensors.h"

namespace moe::interop {

struct WeightsOptions {
  /// Links may lead out of the folder, as they do in the Hugging Face cache.
  bool follow_links = false;
};

/// `model.safetensors`, or what `model.safetensors.index.json` names.
/// @invariant every tensor of the index is in its shard, every tensor of a shard is in the index,
/// no tensor
///   is there twice, and `total_size` is the sum of their bytes
class HuggingFaceWeights : public checkpoint::TensorSource {
 public:
  /// Reads headers only. @throws CheckpointError(path, tensor, expected, found)
  explicit HuggingFaceWeights(const Path& folder, const WeightsOptions& options = {});

  const std::vector<std::string>& files() const { return files_; }
  std::string description() const override { return folder_.string(); }
  const std::vector<std::string>& names() const override { return names_; }
  const checkpoint::TensorInfo* find(const std::string& name) const override;
  std::optional<std::string> metadata(const std::string& key) const override;
  std::string place_of(const std::string& name, std::int64_t element) const override;

 protected:
  void read_slice(const std::string& name, const checkpoint::TensorInfo& info, const Slice& slice,
                  const View& out) const override;

 private:
  Path folder_;
  std::vector<std::string> files_;
  std::vector<std::unique_ptr<SafetensorsFile>> shards_;
  std::vector<std::string> names_;
  std::map<std::string, const SafetensorsFile*> shard_of_;
};

inline constexpr const char* kSingleFileName = "model.safetensors";
inline constexpr const char* kIndexName = "model.safetensors.index.json";

}  // namespace moe::interop
