#include "data/sample.h"

#include <algorithm>
#include <numeric>

namespace moe::data {

Batch make_batch(std::int64_t sequences, std::int64_t sequence_length) {
  Batch batch;
  batch.sequences = sequences;
  batch.sequence_length = sequence_length;
  const auto count = static_cast<std::size_t>(sequences * sequence_length);
  batch.tokens_BS.resize(count);
  batch.targets_BS.resize(count);
  batch.positions_BS.resize(count);
  batch.sample_ids.assign(static_cast<std::size_t>(sequences), -1);
  return batch;
}

SequenceView row_view(Batch& batch, std::int64_t row, std::vector<std::int32_t>& starts) {
  const auto length = static_cast<std::size_t>(batch.sequence_length);
  const std::size_t begin = static_cast<std::size_t>(row) * length;
  return {std::span(batch.tokens_BS).subspan(begin, length),
          std::span(batch.targets_BS).subspan(begin, length),
          std::span(batch.positions_BS).subspan(begin, length), starts};
}

void close_row(Batch& batch, std::int64_t row, const std::vector<std::int32_t>& starts) {
  const auto begin = static_cast<std::int32_t>(row * batch.sequence_length);
  for (const std::int32_t start : starts) batch.document_bounds.push_back(begin + start);
  if (row + 1 == batch.sequences) {
    batch.document_bounds.push_back(static_cast<std::int32_t>(batch.sequences * batch.sequence_length));
  }
  const auto first = batch.targets_BS.begin() + begin;
  const auto ignored = std::count(first, first + batch.sequence_length, kIgnoredTarget);
  batch.target_count += batch.sequence_length - ignored;
}

void number_positions(const SequenceView& out) {
  for (std::size_t i = 0; i < out.starts.size(); ++i) {
    const auto begin = static_cast<std::size_t>(out.starts[i]);
    const std::size_t end =
        i + 1 < out.starts.size() ? static_cast<std::size_t>(out.starts[i + 1]) : out.positions.size();
    const auto part = out.positions.subspan(begin, end - begin);
    std::iota(part.begin(), part.end(), 0);
  }
}

}  // namespace moe::data
