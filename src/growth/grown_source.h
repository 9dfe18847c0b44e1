/// A TensorSource whose tensors are computed from another one when they are read.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/tensor_source.h"

namespace moe::growth {

/// How one tensor comes from the tensors of a source.
/// @invariant an element depends on its index alone, never on the slice it is read in
/// @thread const members may be called from several threads at once
class TensorRecipe {
 public:
  virtual ~TensorRecipe() = default;
  /// Fills `out` with `slice` of the tensor that `info` describes. Values are those that a file of
  /// info.dtype would hold, then converted to out's dtype: what is verified is what is written.
  virtual void read(const checkpoint::TensorSource& source, const checkpoint::TensorInfo& info,
                    const Slice& slice, const View& out) const = 0;
};

/// Another tensor of the source, as it is.
std::shared_ptr<const TensorRecipe> same_as(std::string name);
/// Zeros.
std::shared_ptr<const TensorRecipe> zeros();

/// Large slices are read by several threads, each a part.
class GrownSource : public checkpoint::TensorSource {
 public:
  GrownSource(std::string description, std::shared_ptr<const checkpoint::TensorSource> source)
      : description_(std::move(description)), source_(std::move(source)) {}

  const checkpoint::TensorSource& from() const { return *source_; }

  void add(const std::string& name, checkpoint::TensorInfo info,
           std::shared_ptr<const TensorRecipe> recipe);

  std::string description() const override { return description_; }
  const std::vector<std::string>& names() const override { return names_; }
  const checkpoint::TensorInfo* find(const std::string& name) const override;

 protected:
  void read_slice(const std::string& name, const checkpoint::TensorInfo& info, const Slice& slice,
                  const View& out) const override;

 private:
  struct Entry {
    checkpoint::TensorInfo info;
    std::shared_ptr<const TensorRecipe> recipe;
  };
  std::string description_;
  std::shared_ptr<const checkpoint::TensorSource> source_;
  std::vector<std::string> names_;
  std::map<std::string, Entry> entries_;
};

}  // namespace moe::growth
