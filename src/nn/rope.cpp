#include "nn/rope.h"

#include <cmath>
#include <numbers>
#include <vector>

namespace moe::nn {
namespace {

double llama3_frequency(const RopeSpec& spec, double frequency) {
  const double wavelength = 2.0 * std::numbers::pi / frequency;
  const auto original = static_cast<double>(spec.original_max_positions);
  if (wavelength > original / spec.low_frequency_factor) return frequency / spec.factor;
  if (wavelength < original / spec.high_frequency_factor) return frequency;
  const double smooth = (original / wavelength - spec.low_frequency_factor) /
                        (spec.high_frequency_factor - spec.low_frequency_factor);
  return (1.0 - smooth) * frequency / spec.factor + smooth * frequency;
}

std::vector<float> inverse_frequencies(const RopeSpec& spec, std::int64_t head_width) {
  std::vector<float> frequencies;
  for (std::int64_t j = 0; j < head_width / 2; ++j) {
    const double exponent = static_cast<double>(2 * j) / static_cast<double>(head_width);
    double frequency = 1.0 / std::pow(spec.theta, exponent);
    if (spec.type == "linear") frequency /= spec.factor;
    if (spec.type == "llama3") frequency = llama3_frequency(spec, frequency);
    frequencies.push_back(static_cast<float>(frequency));
  }
  return frequencies;
}

template <class T>
void fill(const ops::RopeTable& table, const std::vector<float>& frequencies) {
  auto cosine = table.cosine.span<T>();
  auto sine = table.sine.span<T>();
  const std::size_t half = frequencies.size();
  for (std::size_t i = 0; i < cosine.size(); ++i) {
    const float angle = static_cast<float>(i / half) * frequencies[i % half];
    cosine[i] = static_cast<T>(std::cos(static_cast<double>(angle)));
    sine[i] = static_cast<T>(std::sin(static_cast<double>(angle)));
  }
}

}  // namespace

ops::RopeTable make_rope_table(const RopeSpec& spec, std::int64_t head_width,
                               std::int64_t positions, DType dtype) {
  const DType precise = dtype == DType::F64 ? DType::F64 : DType::F32;
  const Shape shape{positions, head_width / 2};
  ops::RopeTable table{Tensor::empty(shape, precise, MemoryCategory::Workspace),
                       Tensor::empty(shape, precise, MemoryCategory::Workspace)};
  const std::vector<float> frequencies = inverse_frequencies(spec, head_width);
  if (precise == DType::F64) {
    fill<double>(table, frequencies);
  } else {
    fill<float>(table, frequencies);
  }
  return table;
}

}  // namespace moe::nn
