/// Ranks that act together, and their collectives. Every collective returns at once; `Work::wait`
/// completes it. Collectives of one group must be issued in the same order on all of its ranks.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "comm/work.h"
#include "tensor/view.h"

namespace moe::comm {

/// @det sums are taken in rank order in the buffer's own type, on every back end but NCCL:
///   exchange, local sum, gather; so bits do not depend on the back end
/// @throws CommError naming purpose, peer, operation and elapsed ms, from `Work::wait`
/// @thread one thread issues; different groups may be used at the same time
class Group {
 public:
  virtual ~Group() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// What the group is for ("SumGrad"), used in messages and profiles.
  virtual const std::string& purpose() const = 0;

  /// buffer = sum over ranks. @shape any, contiguous; f32, f64, i32, i64
  /// @comm 2 (P-1)/P of the buffer sent per rank
  virtual Work all_reduce_sum(const View& buffer) = 0;
  /// buffer = maximum over ranks. Same dtypes.
  virtual Work all_reduce_max(const View& buffer) = 0;
  /// output = this rank's part of the sum. @shape input numel = P * output numel
  /// @comm (P-1)/P of the input sent per rank
  virtual Work reduce_scatter_sum(const View& input, const View& output) = 0;
  /// output = inputs in rank order. @shape output numel = P * input numel
  virtual Work all_gather(const View& input, const View& output) = 0;
  /// buffer = the root's buffer.
  virtual Work broadcast(const View& buffer, int root) = 0;
  /// Row r of `send` goes to the rank that owns it: the first send_rows[0] rows to rank 0, and so
  /// on; received rows stand in rank order. Rows are dims after the first; 0 rows are normal.
  /// @shape send [sum(send_rows), ...], receive [sum(receive_rows), ...], same dtype and row size
  virtual Work all_to_all(const View& send, std::span<const std::int64_t> send_rows,
                          const View& receive, std::span<const std::int64_t> receive_rows) = 0;
  /// Returns (after wait) when all ranks have arrived.
  virtual Work barrier() = 0;

  /// Groups of the ranks that gave the same color, ordered by rank here. Collective over this
  /// group; every rank must call it. `color` < 0: not in any group, returns null.
  virtual std::unique_ptr<Group> split(int color, const std::string& purpose) = 0;
};

/// numbers = their sums over the ranks, in place; waits. For the few figures ranks tell each other.
void sum_over(Group& group, std::span<double> numbers);
/// The largest of the ranks' numbers; waits.
double max_over(Group& group, double number);

/// The group of one rank: every collective is a copy or nothing at all.
std::unique_ptr<Group> make_self_group(const std::string& purpose = "self");

}  // namespace moe::comm
