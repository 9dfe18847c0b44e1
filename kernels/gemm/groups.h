/// What the grouped products check about their groups, once, out of line.
#pragma once

#include "tensor/view.h"

namespace moe::kernels {

/// @throws ShapeError unless offset [groups+1] i32 rises from 0 to `rows`
void expect_groups(const char* kernel, const View& offset, std::int64_t groups, std::int64_t rows);

/// @throws ShapeError unless every index of row [rows] i32 (if given) is in [0, limit); without a map
/// limit must be at least `rows`
void expect_map(const char* kernel, const char* argument, const View& row, std::int64_t rows,
                const View& matrix);

}  // namespace moe::kernels
