/// Brings every routed copy of a token to its expert and the results back.
/// @paper GShard, arXiv:2006.16668; dropless rows: MegaBlocks, arXiv:2211.15841
#pragma once

#include <memory>

#include "autograd/variable.h"
#include "moe/routing.h"
#include "ops/rows.h"

namespace moe {

/// What the experts of this rank are to compute.
/// @invariant rows are sorted by local expert, within an expert by global token order
struct Dispatched {
  Variable source_SD;   ///< what arrived (or the tokens themselves), unsorted
  ops::RowMap map;      ///< row r reads source_SD[map.row[r]]: a sorted copy need not exist
  Tensor offset_e1;     ///< i32: rows of local expert e are [offset[e], offset[e+1])
  Variable weight_R;    ///< combine weight of each row
};

/// One layer's exchange is in progress between start and finish; other work (the shared expert) runs in between.
class TokenDispatcher {
 public:
  /// State of one exchange; opaque to callers.
  class Exchange {
   public:
    virtual ~Exchange() = default;
  };
  using Ticket = std::shared_ptr<Exchange>;

  virtual ~TokenDispatcher() = default;

  /// Sends each routed copy to the rank that owns its expert; returns at once.
  /// @shape x_TD [T, D]; routing over E experts
  /// @invariant with identity experts and weights 1/K, combining what was dispatched returns x
  /// @comm ExchangeTokens: one count exchange, one all-to-all of N*D elements, one of N weights
  /// @throws CommError(peer, elapsed_ms) on timeout
  virtual Ticket start_dispatch(const Variable& x_TD, const Routing& routing) = 0;
  virtual Dispatched finish_dispatch(const Ticket& ticket) = 0;

  /// Sends weighted results home. @shape rows_RD [R, D], in the order of the dispatched rows
  virtual Ticket start_combine(const Variable& rows_RD, const Ticket& ticket) = 0;
  /// Sums each token's copies in k order. @shape -> [T, D]
  virtual Variable finish_combine(const Ticket& ticket) = 0;

  /// Experts held by this rank: [first, first + count).
  virtual std::int64_t first_expert(std::int64_t experts) const = 0;
  virtual std::int64_t local_experts(std::int64_t experts) const = 0;
};

/// All experts are here: nothing moves, rows are read in place.
std::unique_ptr<TokenDispatcher> make_local_dispatcher();

}  // namespace moe
