/// Cross-entropy of a chunk of logits; the chunk is replaced by its gradient.
#pragma once

#include "device/stream.h"
#include "tensor/view.h"

namespace moe::kernels {

/// loss[r] = logsumexp(logits[r]) - logits[r, target[r]], or 0 where target[r] < 0 (not counted).
/// With gradient: logits[r] = (softmax(logits[r]) - onehot(target[r])) * scale, zeros where not counted.
/// @shape logits [R, V] f32 (f64); target [R] i32 in [-inf, V); loss [R] f32 (f64); dlogits absent (no gradient),
///   or [R, V] in f32, bf16 or f64, may be logits itself
/// @det yes
struct CrossEntropy {
  View logits;
  View target;
  View loss;
  View dlogits;
  double scale = 1.0;
};
void cross_entropy(Stream& stream, const CrossEntropy& args);

}  // namespace moe::kernels
