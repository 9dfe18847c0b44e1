/// A source whose tensors are computed from those of another, when they are read and no earlier.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/tensor_source.h"
#include "model/model_config.h"
#include "tensor/parameter_kind.h"

namespace moe::growth {

/// @invariant a read gives what would be read after writing all tensors in their dtypes: computed
///   values are rounded to the tensor's dtype first, whatever dtype they are asked in
class ComputedSource : public checkpoint::TensorSource {
 public:
  /// Fills `out`, which has the tensor's dtype, with the elements of a slice. Must give the same
  /// element whatever slice holds it, and may be called from several threads at once.
  using Fill = std::function<void(const Slice& slice, const View& out)>;

  ComputedSource(std::string description, std::shared_ptr<const checkpoint::TensorSource> from)
      : description_(std::move(description)), from_(std::move(from)) {}

  const checkpoint::TensorSource& from() const { return *from_; }

  void add(const std::string& name, const Shape& shape, DType dtype, ParameterKind kind,
           Fill fill);
  /// Every parameter of Model(config) that was not added is `from`'s tensor of that name.
  /// @throws CheckpointError where there is none
  void keep_others(const ModelConfig& config);

  std::string description() const override { return description_; }
  const std::vector<std::string>& names() const override { return names_; }
  const checkpoint::TensorInfo* find(const std::string& name) const override;

 protected:
  void read_slice(const std::string& name, const checkpoint::TensorInfo& info, const Slice& slice,
                  const View& out) const override;

 private:
  struct Entry {
    checkpoint::TensorInfo info;
    Fill fill;  ///< empty: kept
  };
  void insert(const std::string& name, Entry entry);

  std::string description_;
  std::shared_ptr<const checkpoint::TensorSource> from_;
  std::vector<std::string> names_;
  std::map<std::string, Entry> entries_;
};

/// Names of a layer's tensors.
std::string dense_name(std::int64_t layer, const char* part);   ///< "layers.3.mlp.<part>.weight"
std::string sparse_name(std::int64_t layer, const char* part);  ///< "layers.3.moe.<part>.weight"

}  // namespace moe::growth
