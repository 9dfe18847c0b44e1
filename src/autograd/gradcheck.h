/// Compares backward with central differences, in f64.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "autograd/leaf.h"
#include "autograd/variable.h"

namespace moe {

struct GradcheckOptions {
  double step = 1e-6;
  double absolute = 1e-8;
  double relative = 1e-6;
  std::uint64_t seed = 1;  ///< of the random weights that turn outputs into one number
  /// Several ranks check one computation together: each perturbs its own inputs in its turn while all run the
  /// function. `sum` adds a number over the ranks.
  int rank = 0;
  int ranks = 1;
  std::function<double(double)> sum;
};

/// The function under test: inputs and leaves are all f64. Outputs with a gradient are weighted by random numbers
/// (a single scalar output by 1) and summed.
using Differentiable = std::function<std::vector<Variable>(std::span<const Variable>)>;

/// "" if every derivative agrees, else the worst disagreement: input or leaf, element, both values.
/// @throws DTypeError unless inputs and leaves are f64
std::string gradcheck(const Differentiable& function, std::span<const Tensor> inputs,
                      std::span<Leaf* const> leaves = {}, const GradcheckOptions& options = {});

}  // namespace moe
