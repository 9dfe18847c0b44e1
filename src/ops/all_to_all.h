/// The differentiable all-to-all, in two halves each way, so that other work runs between them.
#pragma once

#include <memory>
#include <vector>

#include "autograd/variable.h"
#include "comm/group.h"

namespace moe::ops {

/// Rows to send to and to receive from each rank of a group.
struct RowCounts {
  std::vector<std::int64_t> send;
  std::vector<std::int64_t> receive;
};

/// An exchange under way; finish it exactly once.
class RowExchange {
 public:
  struct State;
  explicit RowExchange(std::shared_ptr<State> state) : state_(std::move(state)) {}
  State& state() const { return *state_; }
  const std::shared_ptr<State>& shared() const { return state_; }

 private:
  std::shared_ptr<State> state_;
};

/// Starts sending rows of x (in rank order) and receiving; returns at once.
/// @shape x [sum(send), D]
/// @comm one all-to-all of sum(send) * D elements; in backward the same rows come home, started by the backward of
///   `finish_all_to_all` and awaited by the backward of this half: reverse recording order gives the same overlap
/// @thread x stays untouched until finished; `group` must outlive the tape
RowExchange start_all_to_all(const Variable& x, const RowCounts& counts, comm::Group& group);

/// Waits, and returns the received rows in rank order. @shape [sum(receive), D]
/// @throws CommError(peer, elapsed ms)
Variable finish_all_to_all(const RowExchange& exchange);

}  // namespace moe::ops
