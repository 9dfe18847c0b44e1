/// The experts of one layer: ragged gated feed-forward networks in two grouped products.
#pragma once

#include <string>

#include "moe/token_dispatcher.h"
#include "nn/module.h"
#include "ops/activation.h"

namespace moe {

struct ExpertsSpec {
  std::string name;
  std::int64_t experts = 0;
  std::int64_t width = 0;
  std::int64_t hidden = 0;
  ops::ActivationKind activation = ops::ActivationKind::Silu;
  bool gated = true;
  double deviation = 0.02;
  double output_deviation = 0.02;
};

/// @shape weights gate_up [E, 2, F, D] ([E, 1, F, D] plain) and down [E, D, F]
class Experts : public nn::Module {
 public:
  explicit Experts(const ExpertsSpec& spec);
  /// Weighted results in row order. @shape -> [R, D]
  /// @grad to sources, weights and both parameters; an expert without rows has an exact zero gradient
  Variable forward(const Dispatched& dispatched);

 private:
  ExpertsSpec spec_;
  nn::Parameter* gate_up_;
  nn::Parameter* down_;
};

}  // namespace moe
