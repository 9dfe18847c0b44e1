#include "train/evaluate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "train/model_input.h"

namespace moe::train {

Evaluation evaluate(Model& model, const data::HeldOutLoader& held_out, comm::Group& group,
                    std::optional<std::int64_t> batches, RoutingStatistics* routing,
                    const std::function<void(std::int64_t, std::int64_t)>& progress) {
  const std::int64_t count = std::min(held_out.batches(), batches.value_or(held_out.batches()));
  double sums[2] = {0.0, 0.0};  // nats, predicted tokens
  for (std::int64_t i = 0; i < count; ++i) {
    const data::Batch batch = held_out.batch(i);
    const ModelInput input = to_model_input(batch);
    const ModelLoss loss = model.loss(input, LossScale{}, nn::Phase::Evaluate);
    sums[0] += loss.cross_entropy;
    sums[1] += static_cast<double>(batch.target_count);
    if (routing != nullptr) routing->add(loss.terms, input.mask_T);
    if (progress) progress(i + 1, count);
  }
  comm::sum_over(group, sums);
  if (routing != nullptr) routing->sum_over(group);
  Evaluation result;
  result.tokens = static_cast<std::int64_t>(std::llround(sums[1]));
  result.loss = sums[1] > 0 ? sums[0] / sums[1] : 0.0;
  const std::int64_t bytes = held_out.held_out().bytes();
  if (count == held_out.batches() && bytes > 0) {
    result.bits_per_byte = sums[0] / std::numbers::ln2 / static_cast<double>(bytes);
  }
  return result;
}

}  // namespace moe::train
