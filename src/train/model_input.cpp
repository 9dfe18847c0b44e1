#include "train/model_input.h"

#include <algorithm>

namespace moe::train {
namespace {

/// First position each token may see, counted within its sequence.
Tensor document_begins(const data::Batch& batch) {
  const std::int64_t length = batch.sequence_length;
  Tensor begin_T = Tensor::empty({batch.sequences * length}, DType::I32);
  auto begins = begin_T.span<std::int32_t>();
  for (std::size_t d = 0; d + 1 < batch.document_bounds.size(); ++d) {
    const std::int32_t first = batch.document_bounds[d];
    const auto within = static_cast<std::int32_t>(length == 0 ? 0 : first % length);
    for (std::int32_t t = first; t < batch.document_bounds[d + 1]; ++t) {
      begins[static_cast<std::size_t>(t)] = within;
    }
  }
  return begin_T;
}

Tensor padding_mask(const data::Batch& batch) {
  if (std::ranges::none_of(batch.sample_ids, [](auto id) { return id < 0; })) return {};
  Tensor mask_T = Tensor::empty({batch.sequences * batch.sequence_length}, DType::U8);
  auto mask = mask_T.span<std::uint8_t>();
  for (std::size_t t = 0; t < mask.size(); ++t) {
    const auto row = static_cast<std::int64_t>(t) / batch.sequence_length;
    mask[t] = batch.sample_ids[static_cast<std::size_t>(row)] < 0 ? 0 : 1;
  }
  return mask_T;
}

Tensor tensor_of(const std::vector<std::int32_t>& values) {
  return Tensor::from(std::span<const std::int32_t>(values),
                      {static_cast<std::int64_t>(values.size())});
}

}  // namespace

ModelInput to_model_input(const data::Batch& batch) {
  return {.token_T = tensor_of(batch.tokens_BS),
          .target_T = tensor_of(batch.targets_BS),
          .position_T = tensor_of(batch.positions_BS),
          .begin_T = document_begins(batch),
          .mask_T = padding_mask(batch),
          .batch = batch.sequences};
}

}  // namespace moe::train
