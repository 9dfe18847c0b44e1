/// Tensors held in host memory as a TensorSource: for tests, and for small things built on the fly.
#pragma once

#include "checkpoint/tensor_source.h"

namespace moe::checkpoint {

class MemorySource : public TensorSource {
 public:
  explicit MemorySource(std::string description = "memory")
      : description_(std::move(description)) {}

  /// Adds or replaces a tensor by a copy of `data`. @shape data contiguous, shape.numel() elements
  void add(const std::string& name, const Shape& shape, const View& data,
           std::map<std::string, std::string> attributes = {});
  /// The same from values, converted to `dtype`.
  void add(const std::string& name, const Shape& shape, DType dtype,
           std::span<const double> values);
  void remove(const std::string& name);
  void set_metadata(const std::string& key, std::string value) {
    metadata_[key] = std::move(value);
  }

  std::string description() const override { return description_; }
  const std::vector<std::string>& names() const override { return names_; }
  const TensorInfo* find(const std::string& name) const override;
  std::optional<std::string> metadata(const std::string& key) const override;

 protected:
  void read_slice(const std::string& name, const TensorInfo& info, const Slice& slice,
                  const View& out) const override;

 private:
  struct Entry {
    TensorInfo info;
    std::vector<std::byte> bytes;
  };
  std::string description_;
  std::vector<std::string> names_;
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace moe::checkpoint
