/// Tables of rotary angles, with the frequency scalings of published models.
#pragma once

#include <cstdint>
#include <string>

#include "ops/rope.h"

namespace moe::nn {

/// @paper default: arXiv:2104.09864; llama3: the rule of Llama 3.1's reference code
struct RopeSpec {
  double theta = 10000.0;
  std::string type = "default";  ///< default, linear, llama3
  double factor = 1.0;
  double low_frequency_factor = 1.0;
  double high_frequency_factor = 4.0;
  std::int64_t original_max_positions = 8192;
};

/// Rows 0 .. positions - 1. Angles are formed as transformers does: f32 position times f32 inverse frequency.
/// @shape cosine, sine [positions, head_width / 2] f32, or f64 when `dtype` is f64
ops::RopeTable make_rope_table(const RopeSpec& spec, std::int64_t head_width,
                               std::int64_t positions, DType dtype);

}  // namespace moe::nn
