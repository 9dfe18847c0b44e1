/// AdamW over slices of parameters.
/// @paper Loshchilov 2017, arXiv:1711.05101
#pragma once

#include "optim/optimizer.h"

namespace moe::optim {

/// Two moments of the master's dtype per element, both zero at the start.
std::unique_ptr<Optimizer> make_adamw(const OptimizerConfig& config,
                                      std::vector<TrainedTensor> tensors);

}  // namespace moe::optim
