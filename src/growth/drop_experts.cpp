#include "growth/drop_experts.h"

#include <cmath>
#include <mutex>
#include <numeric>
#include <span>

#include "base/format.h"
#include "base/random.h"
#include "growth/keyed_draws.h"
#include "growth/neuron_statistics.h"
#include "growth/slices.h"
#include "tensor/convert.h"

namespace moe::growth {
namespace {

constexpr int kDown = 2;

std::vector<std::int32_t> random_order(std::int64_t count, const Random& random) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (std::int64_t i = count - 1; i > 0; --i) {
    const auto index = static_cast<std::uint64_t>(i);
    std::swap(order[index], order[random.below(index + 1, index)]);
  }
  return order;
}

std::vector<bool> random_places(std::int64_t chosen, std::int64_t count, const Random& random) {
  const std::vector<std::int32_t> order = random_order(count, random);
  std::vector<bool> places(static_cast<std::size_t>(count), false);
  for (std::int64_t i = 0; i < chosen; ++i) {
    places[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])] = true;
  }
  return places;
}

/// Statistics are formed once a layer, on the first read that needs them.
class LazyStatistics {
 public:
  explicit LazyStatistics(DenseLayer dense) : dense_(std::move(dense)) {}
  const NeuronStatistics& get() {
    std::call_once(once_, [this] { statistics_ = neuron_statistics(dense_); });
    return statistics_;
  }

 private:
  DenseLayer dense_;
  std::once_flag once_;
  NeuronStatistics statistics_;
};

/// Fills the matrices of experts; shared by all reads of a layer.
class DropFill {
 public:
  DropFill(const DenseLayer& dense, const DropSpec& spec)
      : dense_(dense), spec_(spec), statistics_(std::make_shared<LazyStatistics>(dense)) {}

  void gate_up(const Slice& slice, const View& out) const {
    for (const SlicePart& part : parts_of(slice, 2)) {
      Expert expert = expert_of(part.index[0], dense_.is_up(part.index[1]) ? 1 : 0);
      const std::int64_t base = (part.index[0] * dense_.halves + part.index[1]) * dense_.hidden *
                                dense_.width;
      for_each_chunk(part.inner, kChunkElements, [&](const Slice& chunk, std::int64_t offset) {
        fill_rows(expert, part.index[1], base, chunk,
                  checkpoint::flat_part(out, part.offset + offset, chunk.numel()));
      });
    }
  }

  void down(const Slice& slice, const View& out) const {
    for (const SlicePart& part : parts_of(slice, 1)) {
      Expert expert = expert_of(part.index[0], kDown);
      const std::int64_t base = part.index[0] * dense_.hidden * dense_.width;
      for_each_chunk(part.inner, kChunkElements, [&](const Slice& chunk, std::int64_t offset) {
        fill_columns(expert, base, chunk,
                     checkpoint::flat_part(out, part.offset + offset, chunk.numel()));
      });
    }
  }

 private:
  struct Expert {
    DropPlan plan;
    int matrix = 0;
    double factor = 1.0;
    KeyedDraws values;  ///< of the elements drawn anew, by their index in the tensor of all experts
    Moments moments;  ///< of the elements replaced
    bool is_redrawn(std::int64_t place) const {
      return plan.redrawn[static_cast<std::size_t>(matrix)][static_cast<std::size_t>(place)];
    }
    std::int64_t neuron(std::int64_t place) const {
      return plan.order[static_cast<std::size_t>(place)];
    }
    /// Elements from `index` on; `normals` is scratch.
    void draw(std::int64_t index, std::span<double> out, std::vector<float>& normals) const {
      normals.resize(out.size());
      values.normals(static_cast<std::uint64_t>(index), normals);
      const double mean = factor * moments.mean;
      const double deviation = factor * moments.deviation();
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = mean + deviation * static_cast<double>(normals[i]);
    }
  };

  Expert expert_of(std::int64_t index, int matrix) const {
    const double factors[] = {spec_.scale.gate, spec_.scale.up, spec_.scale.down};
    const std::string stream = format("{}/drop/{}/{}/values", spec_.stage, dense_.layer,
                                      matrix == kDown ? "down" : "gate_up");
    Expert expert{drop_plan(spec_, dense_.layer, index, dense_.hidden), matrix, factors[matrix],
                  KeyedDraws(Random(spec_.seed, stream)), {}};
    std::vector<std::int32_t> replaced;
    for (std::int64_t place = 0; place < dense_.hidden; ++place) {
      if (expert.is_redrawn(place)) {
        replaced.push_back(static_cast<std::int32_t>(expert.neuron(place)));
      }
    }
    expert.moments = pooled(statistics_->get().of[static_cast<std::size_t>(matrix)], replaced,
                            dense_.width);
    return expert;
  }


  void fill_rows(Expert& expert, std::int64_t half, std::int64_t base, const Slice& slice,
                 const View& out) const {
    const std::int64_t width = dense_.width;
    std::vector<double> values(static_cast<std::size_t>(slice.numel()));
    const View all = checkpoint::flat_view(values.data(), DType::F64, slice.numel());
    const Shape matrix{dense_.hidden, width};
    std::vector<float> normals;
    for_each_run(slice, [&](std::int64_t global, std::int64_t box, std::int64_t count) {
      for (std::int64_t at = global; at < global + count;) {
        const std::int64_t place = at / width;
        const std::int64_t length = std::min(global + count, (place + 1) * width) - at;
        const View target =
            checkpoint::flat_part(all, box - slice.flat_begin + at - global, length);
        double* value = target.as<double>();
        if (expert.is_redrawn(place)) {
          expert.draw(base + at, std::span(value, static_cast<std::size_t>(length)), normals);
        } else {
          const Slice row = matrix_box(matrix, expert.neuron(place), 1, at % width, length);
          dense_.source->read(dense_.gate_up, at_index(row, half, dense_.halves), target);
          for (std::int64_t i = 0; i < length; ++i) value[i] *= expert.factor;
        }
        at += length;
      }
    });
    convert_elements(all, out);
  }

  void fill_columns(Expert& expert, std::int64_t base, const Slice& slice,
                    const View& out) const {
    const std::int64_t hidden = dense_.hidden;
    const Shape matrix{dense_.width, hidden};
    std::vector<double> values(static_cast<std::size_t>(slice.numel()));
    const std::int64_t first = global_index(slice, slice.flat_begin) / hidden;
    const std::int64_t last = global_index(slice, slice.flat_end - 1) / hidden;
    std::vector<double> rows(static_cast<std::size_t>((last + 1 - first) * hidden));
    dense_.source->read(dense_.down, matrix_box(matrix, first, last + 1 - first, 0, hidden),
                        checkpoint::flat_view(rows.data(), DType::F64,
                                              static_cast<std::int64_t>(rows.size())));
    std::vector<float> normals;
    for_each_run(slice, [&](std::int64_t global, std::int64_t box, std::int64_t count) {
      double* value = values.data() + (box - slice.flat_begin);
      expert.draw(base + global, std::span(value, static_cast<std::size_t>(count)), normals);
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t place = (global + i) % hidden;
        const double* row = rows.data() + ((global + i) / hidden - first) * hidden;
        if (!expert.is_redrawn(place)) value[i] = row[expert.neuron(place)] * expert.factor;
      }
    });
    convert_elements(checkpoint::flat_view(values.data(), DType::F64, slice.numel()), out);
  }

  DenseLayer dense_;
  DropSpec spec_;
  std::shared_ptr<LazyStatistics> statistics_;
};

}  // namespace

std::int64_t dropped_neurons(double ratio, std::int64_t hidden) {
  return static_cast<std::int64_t>(std::floor(ratio * static_cast<double>(hidden)));
}

DropPlan drop_plan(const DropSpec& spec, std::int64_t layer, std::int64_t expert,
                   std::int64_t hidden) {
  const auto stream = [&](const char* what) {
    return Random(spec.seed, format("{}/drop/{}/{}/{}", spec.stage, layer, expert, what));
  };
  DropPlan plan;
  plan.order = random_order(hidden, stream("order"));
  const std::int64_t count = dropped_neurons(spec.ratio, hidden);
  plan.redrawn[0] = random_places(count, hidden, stream("places"));
  plan.redrawn[1] =
      spec.independent ? random_places(count, hidden, stream("places of up")) : plan.redrawn[0];
  plan.redrawn[2] =
      spec.independent ? random_places(count, hidden, stream("places of down")) : plan.redrawn[0];
  return plan;
}

ExpertFill drop_experts(const DenseLayer& dense, const DropSpec& spec) {
  const auto fill = std::make_shared<DropFill>(dense, spec);
  return {[fill](const Slice& slice, const View& out) { fill->gate_up(slice, out); },
          [fill](const Slice& slice, const View& out) { fill->down(slice, out); }};
}

}  // namespace moe::growth
