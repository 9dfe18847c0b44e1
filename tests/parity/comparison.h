/// Two programs' numbers, held against each other.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace moe::parity {

/// max |ours - theirs| may be this much of max |theirs|: the format's own definition of passing.
inline constexpr double kParityTolerance = 1e-5;

/// Collects what differs and how close the rest came.
class Comparison {
 public:
  /// An all-zero `theirs` wants exact zeros. Counts that differ and NaN fail.
  void compare(const std::string& what, std::span<const double> ours, std::span<const double> theirs);
  void fail(const std::string& message) { failures_.push_back(message); }

  const std::vector<std::string>& failures() const { return failures_; }
  /// Largest difference as a share of what is allowed, and where.
  double worst() const { return worst_; }
  const std::string& worst_in() const { return worst_in_; }
  int count() const { return count_; }

 private:
  std::vector<std::string> failures_;
  double worst_ = 0.0;
  std::string worst_in_ = "nothing";
  int count_ = 0;
};

}  // namespace moe::parity
