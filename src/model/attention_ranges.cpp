#include "model/attention_ranges.h"

#include <algorithm>

namespace moe {

Tensor default_positions(std::int64_t tokens, std::int64_t batch, std::int64_t past) {
  Tensor position_T = Tensor::empty({tokens}, DType::I32);
  auto positions = position_T.span<std::int32_t>();
  const std::int64_t length = batch == 0 ? 0 : tokens / batch;
  for (std::int64_t t = 0; t < tokens; ++t) {
    positions[static_cast<std::size_t>(t)] = static_cast<std::int32_t>(past + t % length);
  }
  return position_T;
}

ops::AttentionRange attention_range(const Tensor& begin_T, std::int64_t tokens, std::int64_t batch,
                                    std::int64_t past, std::int64_t window) {
  ops::AttentionRange range{Tensor::empty({tokens}, DType::I32), Tensor::empty({tokens}, DType::I32),
                            batch};
  auto begin = range.begin.span<std::int32_t>();
  auto end = range.end.span<std::int32_t>();
  const std::int64_t length = batch == 0 ? 0 : tokens / batch;
  for (std::int64_t t = 0; t < tokens; ++t) {
    const auto at = static_cast<std::size_t>(t);
    const std::int64_t place = past + t % length;
    const std::int64_t document = begin_T.defined() ? begin_T.span<std::int32_t>()[at] : 0;
    const std::int64_t earliest = window > 0 ? std::max<std::int64_t>(0, place + 1 - window) : 0;
    begin[at] = static_cast<std::int32_t>(std::max(document, earliest));
    end[at] = static_cast<std::int32_t>(place + 1);
  }
  return range;
}

LogicalSequences logical_sequences(const Tensor& begin_T, std::int64_t tokens, std::int64_t batch) {
  LogicalSequences sequences{Tensor::empty({tokens}, DType::I32), 0};
  auto group = sequences.group_T.span<std::int32_t>();
  const std::int64_t length = batch == 0 ? 0 : tokens / batch;
  for (std::int64_t t = 0; t < tokens; ++t) {
    const auto at = static_cast<std::size_t>(t);
    const bool new_document =
        begin_T.defined() && t % length != 0 &&
        begin_T.span<std::int32_t>()[at] != begin_T.span<std::int32_t>()[at - 1];
    if (t % length == 0 || new_document) ++sequences.count;
    group[at] = static_cast<std::int32_t>(sequences.count - 1);
  }
  return sequences;
}

}  // namespace moe
