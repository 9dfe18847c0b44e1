/// A mixture-of-experts layer as one would write it on paper, in f64: a loop over tokens and their
/// experts, forward and backward. The oracle for routings that are hard on the real one.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

namespace moe::testing {

/// @shape x, dy [T, D]; router [E, D]; gate_up [E, 2, F, D]; down [E, D, F]; mask [T] or empty
struct NaiveMoe {
  std::int64_t tokens = 0, width = 0, experts = 0, choices = 0, hidden = 0;
  bool renormalize = true;
  std::int64_t capacity =
      -1;  ///< rows an expert takes: first choices first, then in token order; -1: all
  std::vector<double> x, dy, router, gate_up, down;

  std::vector<double> y, dx, drouter, dgate_up, ddown;
  std::vector<std::int64_t> chosen;  ///< [T, K]
  std::vector<bool> kept;            ///< [T, K]

  void run() {
    y.assign(x.size(), 0.0);
    dx.assign(x.size(), 0.0);
    drouter.assign(router.size(), 0.0);
    dgate_up.assign(gate_up.size(), 0.0);
    ddown.assign(down.size(), 0.0);
    choose();
    drop();
    for (std::int64_t t = 0; t < tokens; ++t) run_token(t);
  }

 private:
  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

  std::vector<double> probabilities(std::int64_t t) const {
    std::vector<double> p(at(experts), 0.0);
    for (std::int64_t e = 0; e < experts; ++e) {
      for (std::int64_t d = 0; d < width; ++d)
        p[at(e)] += router[at(e * width + d)] * x[at(t * width + d)];
    }
    const double largest = *std::max_element(p.begin(), p.end());
    double sum = 0.0;
    for (double& value : p) sum += value = std::exp(value - largest);
    for (double& value : p) value /= sum;
    return p;
  }

  void choose() {
    chosen.clear();
    for (std::int64_t t = 0; t < tokens; ++t) {
      const std::vector<double> p = probabilities(t);
      std::vector<std::int64_t> order(at(experts));
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(),
                       [&](auto a, auto b) { return p[at(a)] > p[at(b)]; });
      chosen.insert(chosen.end(), order.begin(), order.begin() + choices);
    }
  }

  void drop() {
    kept.assign(chosen.size(), true);
    if (capacity < 0) return;
    std::vector<std::int64_t> taken(at(experts), 0);
    for (std::int64_t k = 0; k < choices; ++k) {
      for (std::int64_t t = 0; t < tokens; ++t) {
        const std::size_t route = at(t * choices + k);
        kept[route] = taken[at(chosen[route])]++ < capacity;
      }
    }
  }

  void run_token(std::int64_t t) {
    const std::vector<double> p = probabilities(t);
    double sum = renormalize ? 0.0 : 1.0;
    for (std::int64_t k = 0; renormalize && k < choices; ++k)
      sum += p[at(chosen[at(t * choices + k)])];
    std::vector<double> dweight(at(choices), 0.0);
    for (std::int64_t k = 0; k < choices; ++k) {
      const std::int64_t e = chosen[at(t * choices + k)];
      if (kept[at(t * choices + k)]) dweight[at(k)] = run_expert(t, e, p[at(e)] / sum);
    }
    std::vector<double> dp(at(experts), 0.0);
    double mean =
        0.0;  // sum of weight * dweight, which a common factor of all weights does not change
    for (std::int64_t k = 0; k < choices; ++k) {
      mean += p[at(chosen[at(t * choices + k)])] / sum * dweight[at(k)];
    }
    for (std::int64_t k = 0; k < choices; ++k) {
      dp[at(chosen[at(t * choices + k)])] = (dweight[at(k)] - (renormalize ? mean : 0.0)) / sum;
    }
    double inner = 0.0;
    for (std::int64_t e = 0; e < experts; ++e) inner += p[at(e)] * dp[at(e)];
    for (std::int64_t e = 0; e < experts; ++e) {
      const double dlogit = p[at(e)] * (dp[at(e)] - inner);
      for (std::int64_t d = 0; d < width; ++d) {
        drouter[at(e * width + d)] += dlogit * x[at(t * width + d)];
        dx[at(t * width + d)] += dlogit * router[at(e * width + d)];
      }
    }
  }

  /// Adds the expert's output for one token; returns the gradient of its weight.
  double run_expert(std::int64_t t, std::int64_t e, double weight) {
    double dweight = 0.0;
    for (std::int64_t f = 0; f < hidden; ++f) {
      const std::int64_t gate_row = (e * 2 * hidden + f) * width;
      const std::int64_t up_row = gate_row + hidden * width;
      double gate = 0.0, up = 0.0, dh = 0.0;
      for (std::int64_t d = 0; d < width; ++d) {
        gate += gate_up[at(gate_row + d)] * x[at(t * width + d)];
        up += gate_up[at(up_row + d)] * x[at(t * width + d)];
      }
      const double sigmoid = 1.0 / (1.0 + std::exp(-gate));
      const double h = gate * sigmoid * up;
      for (std::int64_t d = 0; d < width; ++d) {
        const std::int64_t row = (e * width + d) * hidden + f;
        y[at(t * width + d)] += weight * down[at(row)] * h;
        dh += down[at(row)] * dy[at(t * width + d)];
        ddown[at(row)] += weight * h * dy[at(t * width + d)];
      }
      dweight += h * dh;
      const double dgate = weight * dh * up * sigmoid * (1.0 + gate * (1.0 - sigmoid));
      const double dup = weight * dh * gate * sigmoid;
      for (std::int64_t d = 0; d < width; ++d) {
        dgate_up[at(gate_row + d)] += dgate * x[at(t * width + d)];
        dgate_up[at(up_row + d)] += dup * x[at(t * width + d)];
        dx[at(t * width + d)] += dgate * gate_up[at(gate_row + d)] + dup * gate_up[at(up_row + d)];
      }
    }
    return dweight;
  }
};

}  // namespace moe::testing
