/// Held-out loss.
#pragma once

#include <functional>
#include <optional>

#include "comm/group.h"
#include "data/loader.h"
#include "model/model.h"
#include "train/routing_statistics.h"

namespace moe::train {

struct Evaluation {
  double loss = 0.0;                    ///< nats per predicted token
  std::int64_t tokens = 0;              ///< predicted, over all ranks
  std::optional<double> bits_per_byte;  ///< where the bytes of the text are known and all of it was read
};

/// Each rank of `group` reads its share; sums are taken over the group.
/// @invariant the same loss on any number of ranks, to rounding
/// `batches`: at most this many a rank (all ranks alike); `progress(done, all)` may be empty.
Evaluation evaluate(Model& model, const data::HeldOutLoader& held_out, comm::Group& group,
                    std::optional<std::int64_t> batches, RoutingStatistics* routing,
                    const std::function<void(std::int64_t, std::int64_t)>& progress = {});

}  // namespace moe::train
