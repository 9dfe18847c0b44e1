/// The parts of a decoder layer as one would write them on paper, in f64: loops over rows, heads
/// and keys. The oracle for modules and models.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <numbers>
#include <string>
#include <vector>

namespace moe::testing::naive {

/// Row-major.
using Numbers = std::vector<double>;

inline std::size_t at(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

/// y[t, n] = sum over k of x[t, k] w[n, k] (+ b[n]); w is [outputs, inputs].
inline Numbers linear(const Numbers& x, const Numbers& w, std::int64_t inputs,
                      const Numbers& bias = {}) {
  const auto outputs = static_cast<std::int64_t>(w.size()) / inputs;
  const auto rows = static_cast<std::int64_t>(x.size()) / inputs;
  Numbers y;
  for (std::int64_t t = 0; t < rows; ++t) {
    for (std::int64_t n = 0; n < outputs; ++n) {
      double sum = bias.empty() ? 0.0 : bias[at(n)];
      for (std::int64_t k = 0; k < inputs; ++k)
        sum += x[at(t * inputs + k)] * w[at(n * inputs + k)];
      y.push_back(sum);
    }
  }
  return y;
}

/// Every piece of gain.size() numbers, divided by its root mean square.
inline Numbers rms_norm(const Numbers& x, const Numbers& gain, double epsilon) {
  Numbers y(x.size());
  for (std::size_t begin = 0; begin < x.size(); begin += gain.size()) {
    double squares = 0.0;
    for (std::size_t i = 0; i < gain.size(); ++i) squares += x[begin + i] * x[begin + i];
    const double root = std::sqrt(squares / static_cast<double>(gain.size()) + epsilon);
    for (std::size_t i = 0; i < gain.size(); ++i) y[begin + i] = x[begin + i] / root * gain[i];
  }
  return y;
}

/// Turns the pair (j, j + C/2) of each head by the angle of its token's position.
inline Numbers rope(const Numbers& x, std::int64_t heads, std::int64_t head_width,
                    const std::function<double(std::int64_t t, std::int64_t j)>& angle) {
  Numbers y = x;
  const auto tokens = static_cast<std::int64_t>(x.size()) / (heads * head_width);
  const std::int64_t half = head_width / 2;
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t h = 0; h < heads; ++h) {
      for (std::int64_t j = 0; j < half; ++j) {
        const std::size_t first = at((t * heads + h) * head_width + j);
        const std::size_t second = first + at(half);
        const double c = std::cos(angle(t, j));
        const double s = std::sin(angle(t, j));
        y[first] = x[first] * c - x[second] * s;
        y[second] = x[second] * c + x[first] * s;
      }
    }
  }
  return y;
}

/// One row of softmax attention over the keys that `sees` allows; query heads share key heads in
/// runs. @shape q [T, H, C]; k, v [T, G, C]
inline Numbers attention(const Numbers& q, const Numbers& k, const Numbers& v, std::int64_t heads,
                         std::int64_t groups, std::int64_t width,
                         const std::function<bool(std::int64_t query, std::int64_t key)>& sees) {
  const auto tokens = static_cast<std::int64_t>(q.size()) / (heads * width);
  Numbers out(q.size(), 0.0);
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t h = 0; h < heads; ++h) {
      const std::int64_t g = h / (heads / groups);
      Numbers score(at(tokens), 0.0);
      double sum = 0.0;
      for (std::int64_t s = 0; s < tokens; ++s) {
        if (!sees(t, s)) continue;
        double dot = 0.0;
        for (std::int64_t c = 0; c < width; ++c)
          dot += q[at((t * heads + h) * width + c)] * k[at((s * groups + g) * width + c)];
        sum += score[at(s)] = std::exp(dot / std::sqrt(static_cast<double>(width)));
      }
      for (std::int64_t s = 0; s < tokens; ++s) {
        for (std::int64_t c = 0; c < width; ++c)
          out[at((t * heads + h) * width + c)] +=
              score[at(s)] / sum * v[at((s * groups + g) * width + c)];
      }
    }
  }
  return out;
}

/// By its name in configs.
inline double activation(const std::string& name, double x) {
  if (name == "gelu") return 0.5 * x * (1.0 + std::erf(x / std::numbers::sqrt2));
  if (name == "gelu_pytorch_tanh") {
    const double inner = std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x);
    return 0.5 * x * (1.0 + std::tanh(inner));
  }
  if (name == "relu2") return x > 0 ? x * x : 0.0;
  return x / (1.0 + std::exp(-x));
}

/// down(act(gate(x)) * up(x)), or down(act(up(x))). @shape gate_up [2 or 1, F, D]; down [D, F]
inline Numbers mlp(const Numbers& x, const Numbers& gate_up, const Numbers& down,
                   std::int64_t width, bool gated, const std::string& act = "silu") {
  const auto hidden = static_cast<std::int64_t>(down.size()) / width;
  const std::int64_t wide = gated ? 2 * hidden : hidden;
  const Numbers both = linear(x, gate_up, width);
  Numbers h;
  for (std::size_t row = 0; row < both.size(); row += at(wide)) {
    for (std::int64_t f = 0; f < hidden; ++f) {
      const double a = activation(act, both[row + at(f)]);
      h.push_back(gated ? a * both[row + at(hidden + f)] : a);
    }
  }
  return linear(h, down, hidden);
}

inline Numbers add(Numbers a, const Numbers& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

inline double sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

}  // namespace moe::testing::naive
