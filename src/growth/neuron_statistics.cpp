#include "growth/neuron_statistics.h"

#include <algorithm>
#include <cmath>

#include "growth/slices.h"

namespace moe::growth {
namespace {

/// Calls `visit(row, values)` for every row of a matrix of a source, many rows a read.
template <class Box, class Visit>
void for_each_row(const checkpoint::TensorSource& source, const std::string& name,
                  const Shape& matrix, Box box, Visit visit) {
  const std::int64_t per_read = std::max<std::int64_t>(1, kChunkElements / matrix[1]);
  std::vector<double> values;
  for (std::int64_t row = 0; row < matrix[0]; row += per_read) {
    const std::int64_t count = std::min(per_read, matrix[0] - row);
    values.resize(static_cast<std::size_t>(count * matrix[1]));
    source.read(name, box(matrix_box(matrix, row, count, 0, matrix[1])),
                checkpoint::flat_view(values.data(), DType::F64, count * matrix[1]));
    for (std::int64_t i = 0; i < count; ++i) visit(row + i, values.data() + i * matrix[1]);
  }
}

Moments of_row(const double* values, std::int64_t count) {
  Moments moments{0, 0, count};
  for (std::int64_t i = 0; i < count; ++i) moments.mean += values[i];
  moments.mean /= static_cast<double>(count);
  for (std::int64_t i = 0; i < count; ++i) {
    moments.squares += (values[i] - moments.mean) * (values[i] - moments.mean);
  }
  return moments;
}

/// Welford's step for every column.
void add_row(std::vector<Moments>& columns, const double* values) {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    Moments& moments = columns[i];
    const double before = values[i] - moments.mean;
    moments.mean += before / static_cast<double>(++moments.count);
    moments.squares += before * (values[i] - moments.mean);
  }
}

}  // namespace

double Moments::deviation() const {
  return count == 0 ? 0.0 : std::sqrt(squares / static_cast<double>(count));
}

NeuronStatistics neuron_statistics(const DenseLayer& dense) {
  NeuronStatistics statistics;
  const Shape rows{dense.hidden, dense.width};
  for (std::int64_t half = 0; half < dense.halves; ++half) {
    auto& neurons = statistics.of[dense.is_up(half) ? 1 : 0];
    for_each_row(
        *dense.source, dense.gate_up, rows,
        [&](const Slice& box) { return at_index(box, half, dense.halves); },
        [&](std::int64_t, const double* values) {
          neurons.push_back(of_row(values, dense.width));
        });
  }
  auto& columns = statistics.of[2];
  columns.resize(static_cast<std::size_t>(dense.hidden));
  for_each_row(
      *dense.source, dense.down, {dense.width, dense.hidden}, [](const Slice& box) { return box; },
      [&](std::int64_t, const double* values) { add_row(columns, values); });
  return statistics;
}

Moments pooled(const std::vector<Moments>& neurons, std::span<const std::int32_t> chosen,
               std::int64_t width) {
  Moments all{0, 0, static_cast<std::int64_t>(chosen.size()) * width};
  if (chosen.empty()) return all;
  for (const std::int32_t i : chosen) all.mean += neurons[static_cast<std::size_t>(i)].mean;
  all.mean /= static_cast<double>(chosen.size());
  for (const std::int32_t i : chosen) {
    const Moments& own = neurons[static_cast<std::size_t>(i)];
    all.squares += own.squares + static_cast<double>(width) * (own.mean - all.mean) *
                                     (own.mean - all.mean);
  }
  return all;
}

}  // namespace moe::growth
