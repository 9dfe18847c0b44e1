/// The safetensors file format, read strictly: a file is data from a stranger.
/// @paper format and rules: github.com/huggingface/safetensors
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "checkpoint/tensor_source.h"

namespace moe::interop {

/// A dtype of the format. The order is the reference writer's: files are sorted by it, descending.
struct SafetensorsDType {
  std::string_view name;
  std::int64_t bits;
};

/// All dtypes of the format, in order.
std::vector<SafetensorsDType> safetensors_dtypes();
/// How the format spells ours ("BF16").
std::string_view safetensors_name(DType dtype);
/// Ours for the format's; BOOL is read as u8. Nothing for those that we cannot hold.
std::optional<DType> dtype_of_safetensors(std::string_view name);

struct SafetensorsEntry {
  std::string name;
  std::string dtype;  ///< the format's spelling
  Shape shape;
  std::uint64_t begin = 0;  ///< bytes after the header
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  std::map<std::string, std::string> metadata;
  std::vector<SafetensorsEntry> entries;  ///< in the order of their offsets
};

inline constexpr std::uint64_t kMaxSafetensorsHeader = 100'000'000;
inline constexpr std::size_t kMaxSafetensorsTensors = 1'000'000;
inline constexpr std::size_t kMaxTensorNameBytes = 4096;

/// Parses the JSON of a header whose file holds `data_bytes` after it. Stricter than the reference:
/// repeated keys, a first byte other than '{', control bytes in names and more than kMaxRank dims
/// are refused too.
/// @throws CheckpointError(where, tensor, expected, found)
SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t data_bytes,
                                           const std::string& where);

class ContainedFile;

/// One file as a TensorSource over the names in it; metadata are the header's `__metadata__`.
class SafetensorsFile : public checkpoint::TensorSource {
 public:
  /// @throws CheckpointError when any rule of the format is broken, or a dtype is none of ours
  explicit SafetensorsFile(const Path& path);
  explicit SafetensorsFile(std::shared_ptr<const ContainedFile> file);

  const SafetensorsHeader& header() const { return header_; }
  std::string description() const override;
  const std::vector<std::string>& names() const override { return names_; }
  const checkpoint::TensorInfo* find(const std::string& name) const override;
  std::optional<std::string> metadata(const std::string& key) const override;

 protected:
  void read_slice(const std::string& name, const checkpoint::TensorInfo& info, const Slice& slice,
                  const View& out) const override;

 private:
  struct Stored {
    checkpoint::TensorInfo info;
    std::uint64_t offset;  // in the file
  };
  std::shared_ptr<const ContainedFile> file_;
  SafetensorsHeader header_;
  std::vector<std::string> names_;
  std::map<std::string, Stored> tensors_;
};

}  // namespace moe::interop
