/// Means of tensors of which identical ones come back bit by bit.
#pragma once

#include <span>
#include <vector>

namespace moe::growth {

/// x_0 + sum w_i (x_i - x_0), element by element, for weights that sum to 1: the mean of equal values
/// is that value, whatever the weights. @shape every row as long as the first
class WeightedMean {
 public:
  void add(double weight, std::span<const double> values) {
    if (first_.empty()) {
      first_.assign(values.begin(), values.end());
      sum_.assign(values.size(), 0.0);
      return;
    }
    for (std::size_t i = 0; i < values.size(); ++i) sum_[i] += weight * (values[i] - first_[i]);
  }
  std::vector<double> take() {
    for (std::size_t i = 0; i < sum_.size(); ++i) sum_[i] += first_[i];
    first_.clear();
    return std::move(sum_);
  }

 private:
  std::vector<double> first_;
  std::vector<double> sum_;
};

}  // namespace moe::growth
