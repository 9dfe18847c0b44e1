#include "growth/align_neurons.h"

#include <memory>
#include <numeric>
#include <span>

#include "autograd/tape.h"
#include "growth/linear_assignment.h"
#include "growth/slices.h"
#include "ops/linear.h"

namespace moe::growth {
namespace {

/// One neuron a row: its rows of gate and up, its column of down. @shape [F, (halves + 1) D]
std::vector<float> neurons_of(const StackedExperts& experts, std::int64_t expert) {
  const Shape shape = experts.source.info(experts.gate_up).shape;
  const std::int64_t hidden = shape[2];
  const std::int64_t width = shape[3];
  const std::int64_t row = (shape[1] + 1) * width;
  std::vector<float> neurons(static_cast<std::size_t>(hidden * row));
  std::vector<float> part(static_cast<std::size_t>(hidden * width));
  const View scratch = checkpoint::flat_view(part.data(), DType::F32, hidden * width);
  for (std::int64_t half = 0; half < shape[1]; ++half) {
    Slice slice = whole(shape);
    slice.flat_begin = (expert * shape[1] + half) * hidden * width;
    slice.flat_end = slice.flat_begin + hidden * width;
    experts.source.read(experts.gate_up, slice, scratch);
    for (std::int64_t f = 0; f < hidden; ++f) {
      std::copy_n(part.begin() + f * width, width, neurons.begin() + f * row + half * width);
    }
  }
  Slice slice = whole(experts.source.info(experts.down).shape);
  slice.flat_begin = expert * hidden * width;
  slice.flat_end = slice.flat_begin + hidden * width;
  experts.source.read(experts.down, slice, scratch);
  for (std::int64_t d = 0; d < width; ++d) {
    for (std::int64_t f = 0; f < hidden; ++f) {
      neurons[static_cast<std::size_t>(f * row + shape[1] * width + d)] =
          part[static_cast<std::size_t>(d * hidden + f)];
    }
  }
  return neurons;
}

/// a b^T for rows of `length`, on the caller's threads if it computes, else on one. @shape [n, n]
std::vector<float> products(std::span<const float> a, std::span<const float> b, std::int64_t n) {
  std::unique_ptr<DeviceContext> own;
  if (find_context() == nullptr) own = std::make_unique<DeviceContext>(1, detect_cpu_isa());
  const ContextScope scope(own ? *own : current_context());
  const TapeScope no_gradients(nullptr);
  const Shape shape{n, static_cast<std::int64_t>(a.size()) / n};
  Leaf other("neurons", Tensor::from(b, shape));
  const Tensor result = ops::linear(Variable(Tensor::from(a, shape)), other).value();
  const auto values = result.span<float>();
  return {values.begin(), values.end()};
}

}  // namespace

std::vector<std::int32_t> align_neurons(const StackedExperts& experts, std::int64_t reference,
                                        std::int64_t expert) {
  const std::int64_t hidden = experts.source.info(experts.gate_up).shape[2];
  const std::vector<float> kept = neurons_of(experts, reference);
  const std::vector<float> moved = neurons_of(experts, expert);
  if (kept == moved) {
    std::vector<std::int32_t> identity(static_cast<std::size_t>(hidden));
    std::iota(identity.begin(), identity.end(), 0);
    return identity;
  }
  return best_assignment(products(kept, moved, hidden), hidden);
}

}  // namespace moe::growth
