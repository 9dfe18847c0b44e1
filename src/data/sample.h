/// What a sequence is made of, and where the parts of a batch are.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moe::data {

/// A target that no loss counts.
inline constexpr std::int32_t kIgnoredTarget = -100;

/// Memory for one sequence of S tokens. @shape tokens, targets, positions [S]
struct SequenceView {
  std::span<std::int32_t> tokens;
  std::span<std::int32_t> targets;    ///< targets[i] follows tokens[i]; kIgnoredTarget: not counted
  std::span<std::int32_t> positions;  ///< within the document
  /// Where documents start: ascending, begins with 0; without document masks only 0.
  std::vector<std::int32_t>& starts;
};

/// B sequences of S tokens on the host.
/// @shape tokens_BS, targets_BS, positions_BS [B * S], row-major; sample_ids [B]
struct Batch {
  std::int64_t sequences = 0;        ///< B
  std::int64_t sequence_length = 0;  ///< S
  std::vector<std::int32_t> tokens_BS;
  std::vector<std::int32_t> targets_BS;
  std::vector<std::int32_t> positions_BS;
  /// Starts of all documents in [0, B * S), ascending, then B * S: no attention across them. Every
  /// sequence starts one.
  std::vector<std::int32_t> document_bounds;
  /// Global ids: sample g of the run; -1 for padding.
  std::vector<std::int64_t> sample_ids;
  /// Targets that count. A step divides its loss by their sum over all micro-batches and readers.
  std::int64_t target_count = 0;
};

/// An empty batch of that size.
Batch make_batch(std::int64_t sequences, std::int64_t sequence_length);
/// Row `row` of a batch, to be filled; then `close_row` notes its bounds and counts its targets.
SequenceView row_view(Batch& batch, std::int64_t row, std::vector<std::int32_t>& starts);
void close_row(Batch& batch, std::int64_t row, const std::vector<std::int32_t>& starts);

/// Fills the positions of a sequence from its document starts.
void number_positions(const SequenceView& out);

}  // namespace moe::data
