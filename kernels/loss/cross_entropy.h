/// Cross-entropy of a chunk of logits; the chunk is replaced by its gradient.
#pragma once

#include "device/stream.h"
#include "tensor/view.h"

namespace moe::kernels {

/// loss[r] = logsumexp(logits[r]) - logits[r, target[r]], or 0 where target[r] < 0 (not counted).
/// With gradient: logits[r] = (softmax(logits[r]) - onehot(target[r])) * scale, zeros where not counted.
/// @shape rows at any distance: logits [R, V] f32 (f64); target [R] i32 in [-inf, V); loss [R] f32 (f64);
///   dlogits absent (no gradient), or [R, V] in bf16 or in the dtype of logits, then it may be logits itself
/// @det yes  @cost reads a row from memory once; its second reading finds it in the cache
/// @throws ShapeError for a target of V or more
struct CrossEntropy {
  View logits;
  View target;
  View loss;
  View dlogits;
  double scale = 1.0;
};
void cross_entropy(Stream& stream, const CrossEntropy& args);

}  // namespace moe::kernels
