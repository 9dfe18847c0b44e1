#include "growth/expert_cosine.h"

#include <array>
#include <cmath>

#include "base/format.h"
#include "growth/slices.h"

namespace moe::growth {
namespace {

using Values = std::vector<double>;

/// Elements [begin, begin + count) of one expert of a tensor whose first dim is the expert.
void read_part(const checkpoint::TensorSource& source, const std::string& name, std::int64_t expert,
               std::int64_t begin, Values& out) {
  Slice slice = whole(source.info(name).shape);
  slice.begin[0] = expert;
  slice.size.set(0, 1);
  slice.flat_begin = begin;
  slice.flat_end = begin + static_cast<std::int64_t>(out.size());
  source.read(name, slice, checkpoint::flat_view(out.data(), DType::F64, slice.numel()));
}

/// Calls `visit(tensor, begin, count)` for the chunks that an expert's weights are cut into.
template <class Visit>
void for_each_part(const checkpoint::TensorSource& source, std::int64_t layer, Visit&& visit) {
  for (const char* part : {"gate_up", "down"}) {
    const std::string name = format("layers.{}.moe.experts.{}.weight", layer, part);
    const Shape& shape = source.info(name).shape;
    const std::int64_t elements = shape.numel() / shape[0];
    for (std::int64_t at = 0; at < elements; at += kChunkElements) {
      visit(name, at, std::min(kChunkElements, elements - at));
    }
  }
}

double sum_of_squares(const Values& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return sum;
}

/// By |sum of unit vectors|^2 = E + sum over ordered pairs of cosines.
double layer_cosine(const checkpoint::TensorSource& source, std::int64_t layer,
                    std::int64_t experts) {
  Values squares(static_cast<std::size_t>(experts), 0.0);
  Values chunk;
  for_each_part(source, layer, [&](const std::string& name, std::int64_t at, std::int64_t count) {
    chunk.resize(static_cast<std::size_t>(count));
    for (std::int64_t e = 0; e < experts; ++e) {
      read_part(source, name, e, at, chunk);
      squares[static_cast<std::size_t>(e)] += sum_of_squares(chunk);
    }
  });
  double together = 0;
  Values sum;
  for_each_part(source, layer, [&](const std::string& name, std::int64_t at, std::int64_t count) {
    chunk.resize(static_cast<std::size_t>(count));
    sum.assign(chunk.size(), 0.0);
    for (std::int64_t e = 0; e < experts; ++e) {
      const double square = squares[static_cast<std::size_t>(e)];
      if (square == 0) continue;
      read_part(source, name, e, at, chunk);
      const double scale = 1.0 / std::sqrt(square);
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += scale * chunk[i];
    }
    together += sum_of_squares(sum);
  });
  double own = 0;
  for (const double square : squares) own += square > 0 ? 1.0 : 0.0;
  return (together - own) / static_cast<double>(experts * (experts - 1));
}

}  // namespace

std::optional<double> mean_expert_cosine(const ModelSource& model) {
  const std::int64_t experts = model.config.num_experts;
  if (experts < 2) return std::nullopt;
  double sum = 0;
  std::int64_t layers = 0;
  for (std::int64_t layer = 0; layer < model.config.num_hidden_layers; ++layer) {
    if (!model.config.is_sparse(layer)) continue;
    sum += layer_cosine(*model.weights, layer, experts);
    ++layers;
  }
  if (layers == 0) return std::nullopt;
  return sum / static_cast<double>(layers);
}

}  // namespace moe::growth
