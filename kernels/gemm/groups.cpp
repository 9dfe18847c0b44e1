#include "kernels/gemm/groups.h"

#include "kernels/common/checks.h"
#include "kernels/common/errors.h"

namespace moe::kernels {

void expect_groups(const char* kernel, const View& offset, std::int64_t groups, std::int64_t rows) {
  expect_dtype(kernel, "offset", offset, DType::I32);
  expect_flat(kernel, "offset", offset, groups + 1);
  const auto* at = offset.as<const std::int32_t>();
  bool rising = at[0] == 0 && at[groups] == rows;
  for (std::int64_t g = 0; g < groups; ++g) rising = rising && at[g] <= at[g + 1];
  if (!rising) throw_shape(kernel, "offset to rise from 0 to the number of rows", offset);
}

void expect_map(const char* kernel, const char* argument, const View& row, std::int64_t rows,
                const View& matrix) {
  const std::int64_t limit = matrix.dim(0);
  if (!row) {
    if (limit < rows) throw_shape(kernel, "a row for every row of the groups", matrix);
    return;
  }
  expect_dtype(kernel, argument, row, DType::I32);
  expect_flat(kernel, argument, row, rows);
  const auto* index = row.as<const std::int32_t>();
  for (std::int64_t r = 0; r < rows; ++r) {
    if (index[r] < 0 || index[r] >= limit) throw_index(kernel, argument, r, index[r], limit);
  }
}

}  // namespace moe::kernels
