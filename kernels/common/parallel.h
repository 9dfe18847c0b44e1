/// The rank's worker pool as kernels see it. Out of line, so that no std::function is compiled per
/// instruction set.
#pragma once

#include <cstdint>

#include "device/stream.h"

namespace moe::kernels {

using RangeBody = void (*)(void* context, std::int64_t begin, std::int64_t end);

/// Cuts [0, size) into ranges of `grain` items and calls body(context, begin, end) for each, on any
/// thread; returns when all are done. @throws what a body threw
void run_ranges(const Stream& stream, std::int64_t size, std::int64_t grain, RangeBody body,
                void* context);

}  // namespace moe::kernels
