/// Updates weights from gradients; state is kept per slice, so any sharding can save and load it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/fields.h"
#include "tensor/parameter_kind.h"
#include "tensor/slice.h"
#include "tensor/tensor.h"

namespace moe::optim {

/// Exceptions to the optimizer's settings for parameters of some kinds.
struct ParameterGroup {
  std::vector<std::string> kinds;
  double learning_rate_scale = 1.0;
  std::optional<double> weight_decay;  ///< none: the optimizer's

  void fields(config::Fields& f);
};

struct OptimizerConfig {
  std::string name = "adamw";
  double learning_rate = 3e-4;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;
  std::vector<std::string> no_decay{"norm", "bias"};
  std::vector<ParameterGroup> groups;

  void fields(config::Fields& f);
  double learning_rate_scale(ParameterKind kind) const;
  double decay_of(ParameterKind kind) const;
};

/// A slice of a parameter that this rank updates.
/// @shape master, gradient() flat [slice.numel()] f32 (f64); compute the same in bf16, or undefined when the master is
///   what the model computes with
struct TrainedTensor {
  std::string name;
  ParameterKind kind = ParameterKind::Mlp;
  Slice slice;
  Tensor master;
  std::function<Tensor()> gradient;  ///< of the current step; its memory may change from step to step
  Tensor compute;
};

/// What changes between steps.
struct StepScalars {
  std::int64_t step = 1;  ///< 1 for the first update
  double learning_rate = 0.0;
  double clip_factor = 1.0;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// Updates master (and compute copy) of every tensor. @det yes
  virtual void step(const StepScalars& scalars) = 0;

  /// A named piece of state, to be saved and loaded with the parameter's slice.
  struct StateTensor {
    std::string name;  ///< <parameter>.<moment>
    Slice slice;
    Tensor value;
  };
  virtual std::vector<StateTensor> state() const = 0;
};

/// @throws ConfigError naming the known optimizers; OutOfMemory
std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config,
                                          std::vector<TrainedTensor> tensors);
std::vector<std::string> optimizer_names();

/// Bytes of optimizer state per element of a parameter.
std::int64_t state_bytes_per_element(const OptimizerConfig& config);

}  // namespace moe::optim
