#include "nn/rope.h"

#include <cmath>
#include <numbers>
#include <vector>

namespace moe::nn {
namespace {

// Every step rounds to f32 as transformers' does: a frequency one bit off turns by 1e-4 at position 4096.

float llama3_frequency(const RopeSpec& spec, float frequency) {
  const auto original = static_cast<double>(spec.original_max_positions);
  const auto factor = static_cast<float>(spec.factor);
  const float wavelength = static_cast<float>(2.0 * std::numbers::pi) / frequency;
  if (wavelength > static_cast<float>(original / spec.low_frequency_factor)) {
    return frequency / factor;
  }
  if (wavelength < static_cast<float>(original / spec.high_frequency_factor)) return frequency;
  const float smooth =
      (static_cast<float>(original) / wavelength - static_cast<float>(spec.low_frequency_factor)) /
      static_cast<float>(spec.high_frequency_factor - spec.low_frequency_factor);
  return (1.0F - smooth) * frequency / factor + smooth * frequency;
}

float base_frequency(double theta, std::int64_t j, std::int64_t head_width) {
  const float exponent = static_cast<float>(2 * j) / static_cast<float>(head_width);
  const auto power = static_cast<float>(std::pow(theta, static_cast<double>(exponent)));
  return 1.0F / power;
}

std::vector<float> inverse_frequencies(const RopeSpec& spec, std::int64_t head_width) {
  std::vector<float> frequencies;
  for (std::int64_t j = 0; j < head_width / 2; ++j) {
    float frequency = base_frequency(spec.theta, j, head_width);
    if (spec.type == "linear") frequency /= static_cast<float>(spec.factor);
    if (spec.type == "llama3") frequency = llama3_frequency(spec, frequency);
    frequencies.push_back(frequency);
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
