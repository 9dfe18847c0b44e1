#include "growth/shared_expert.h"

#include "growth/slices.h"

namespace moe::growth {
namespace {

/// Of a tensor whose elements repeat: `period` consecutive ones of the source stand `copies` times.
ComputedSource::Fill repeated(std::shared_ptr<const checkpoint::TensorSource> source,
                              const std::string& name, std::int64_t period, std::int64_t copies,
                              double factor) {
  return [=](const Slice& slice, const View& out) {
    Slice from = whole(source->info(name).shape);
    for_each_run(slice, [&](std::int64_t global, std::int64_t box, std::int64_t count) {
      for (std::int64_t at = global; at < global + count;) {
        const std::int64_t place = at % period;
        const std::int64_t length = std::min(global + count - at, period - place);
        from.flat_begin = at / (period * copies) * period + place;
        from.flat_end = from.flat_begin + length;
        read_scaled(*source, name, from, factor,
                    checkpoint::flat_part(out, box - slice.flat_begin + at - global, length));
        at += length;
      }
    });
  };
}

}  // namespace

ExpertFill shared_expert(const DenseLayer& dense, std::int64_t copies, double factor) {
  return {repeated(dense.source, dense.gate_up, dense.hidden * dense.width, copies, 1.0),
          repeated(dense.source, dense.down, dense.hidden, copies, factor)};
}

}  // namespace moe::growth
