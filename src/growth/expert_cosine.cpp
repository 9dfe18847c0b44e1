#include "growth/expert_cosine.h"

#include <cmath>

#include "growth/computed_source.h"
#include "growth/slices.h"

namespace moe::growth {
namespace {

/// Calls `visit(expert, first, values)` for consecutive parts of each expert's elements of a tensor:
/// part by part, every expert's one after another.
template <class Visit>
void for_each_piece(const checkpoint::TensorSource& source, const std::string& name, Visit visit) {
  const Shape& shape = source.info(name).shape;
  const std::int64_t experts = shape[0];
  const std::int64_t each = shape.numel() / experts;
  std::vector<double> values;
  for (std::int64_t first = 0; first < each; first += kChunkElements) {
    const std::int64_t count = std::min(kChunkElements, each - first);
    values.resize(static_cast<std::size_t>(count));
    for (std::int64_t expert = 0; expert < experts; ++expert) {
      Slice slice = whole(shape);
      slice.flat_begin = expert * each + first;
      slice.flat_end = slice.flat_begin + count;
      source.read(name, slice, checkpoint::flat_view(values.data(), DType::F64, count));
      visit(expert, first, values);
    }
  }
}

double layer_cosine(const ModelSource& source, std::int64_t layer) {
  const std::string names[] = {sparse_name(layer, "experts.gate_up"),
                               sparse_name(layer, "experts.down")};
  const auto experts = static_cast<std::size_t>(source.config.num_experts);
  std::vector<double> norm(experts, 0.0);
  for (const std::string& name : names) {
    for_each_piece(*source.weights, name,
                   [&](std::int64_t expert, std::int64_t, const std::vector<double>& values) {
                     for (const double v : values) norm[static_cast<std::size_t>(expert)] += v * v;
                   });
  }
  double alone = 0;  // sum of ||u_e||^2
  for (double& value : norm) {
    value = std::sqrt(value);
    alone += value > 0 ? 1.0 : 0.0;
  }
  double together = 0;  // ||sum u_e||^2
  std::vector<double> sum;
  const auto close = [&] {
    for (const double v : sum) together += v * v;
    sum.clear();
  };
  for (const std::string& name : names) {
    for_each_piece(*source.weights, name,
                   [&](std::int64_t expert, std::int64_t, const std::vector<double>& values) {
                     if (expert == 0) close();
                     sum.resize(values.size(), 0.0);
                     const double length = norm[static_cast<std::size_t>(expert)];
                     if (length == 0) return;
                     for (std::size_t i = 0; i < values.size(); ++i) sum[i] += values[i] / length;
                   });
  }
  close();
  const auto count = static_cast<double>(experts);
  return (together - alone) / (count * (count - 1));
}

}  // namespace

std::optional<double> mean_expert_cosine(const ModelSource& source) {
  if (source.config.num_experts < 2) return {};
  double sum = 0;
  for (std::int64_t layer = 0; layer < source.config.num_hidden_layers; ++layer) {
    if (source.config.is_sparse(layer)) sum += layer_cosine(source, layer);
  }
  return sum / static_cast<double>(source.config.sparse_layer_count());
}

}  // namespace moe::growth
