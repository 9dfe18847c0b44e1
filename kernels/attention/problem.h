/// The sizes of one attention call, checked once, out of line.
#pragma once

#include "kernels/attention/attention.h"

namespace moe::kernels {

struct AttentionProblem {
  std::int64_t batch = 0;
  std::int64_t queries = 0;  ///< of one sequence
  std::int64_t keys = 0;     ///< of one sequence
  std::int64_t heads = 0;
  std::int64_t groups = 0;  ///< key-value heads
  std::int64_t ratio = 0;   ///< heads of one group
  std::int64_t width = 0;   ///< of a head
};

/// @throws ShapeError, DTypeError
AttentionProblem attention_problem(const Attention& args);
AttentionProblem attention_problem(const AttentionBackward& args);

}  // namespace moe::kernels
