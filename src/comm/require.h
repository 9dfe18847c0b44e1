/// What every collective asks of its buffers, checked when it is issued.
#pragma once

#include <cstdint>

#include "tensor/view.h"

namespace moe::comm {

/// @throws ShapeError unless `view` is contiguous
void require_contiguous(const char* operation, const char* name, const View& view);
/// @throws DTypeError unless f32, f64, i32 or i64
void require_reducible(const char* operation, const View& view);
/// @throws DTypeError unless both have the same element type
void require_same_dtype(const char* operation, const View& a, const View& b);
/// @throws ShapeError unless `view` has `numel` elements
void require_numel(const char* operation, const char* name, const View& view, std::int64_t numel);

}  // namespace moe::comm
