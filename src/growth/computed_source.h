/// A grown source whose tensors may be given as functions, and which keeps what nobody computes.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "growth/grown_source.h"
#include "model/model_config.h"
#include "tensor/parameter_kind.h"

namespace moe::growth {

/// @invariant a read gives what would be read after writing all tensors in their dtypes: computed
///   values are rounded to the tensor's dtype first, whatever dtype they are asked in
class ComputedSource : public GrownSource {
 public:
  /// Fills `out`, which has the tensor's dtype, with the elements of a slice. Must give the same
  /// element whatever slice holds it, and may be called from several threads at once.
  using Fill = std::function<void(const Slice& slice, const View& out)>;

  using GrownSource::add;
  using GrownSource::GrownSource;

  void add(const std::string& name, const Shape& shape, DType dtype, ParameterKind kind,
           Fill fill);
  /// Every parameter of Model(config) that was not added is the source's tensor of that name.
  /// @throws CheckpointError where there is none
  void keep_others(const ModelConfig& config);
};

/// Names of a layer's tensors.
std::string dense_name(std::int64_t layer, const char* part);   ///< "layers.3.mlp.<part>.weight"
std::string sparse_name(std::int64_t layer, const char* part);  ///< "layers.3.moe.<part>.weight"

}  // namespace moe::growth
