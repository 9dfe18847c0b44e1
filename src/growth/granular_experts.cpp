#include "growth/granular_experts.h"

#include "growth/slices.h"

namespace moe::growth {

ExpertFill granular_experts(const DenseLayer& dense, std::int64_t granularity,
                            const ExpertScale& scale) {
  const std::int64_t shard = dense.hidden / granularity;
  ExpertFill fill;
  fill.gate_up = [=](const Slice& slice, const View& out) {
    for (const SlicePart& part : parts_of(slice, 2)) {
      const std::int64_t begin = part.index[0] % granularity * shard;
      const Slice rows = shifted(part.inner, 0, begin, dense.hidden);
      const double factor = dense.is_up(part.index[1]) ? scale.up : scale.gate;
      read_scaled(*dense.source, dense.gate_up, at_index(rows, part.index[1], dense.halves),
                  factor, checkpoint::flat_part(out, part.offset, part.inner.numel()));
    }
  };
  fill.down = [=](const Slice& slice, const View& out) {
    for (const SlicePart& part : parts_of(slice, 1)) {
      const std::int64_t begin = part.index[0] % granularity * shard;
      read_scaled(*dense.source, dense.down, shifted(part.inner, 1, begin, dense.hidden),
                  scale.down, checkpoint::flat_part(out, part.offset, part.inner.numel()));
    }
  };
  return fill;
}

}  // namespace moe::growth
