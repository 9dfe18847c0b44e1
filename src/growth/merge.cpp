#include "growth/merge.h"

#include <mutex>

#include "base/format.h"
#include "growth/align_neurons.h"
#include "growth/clustering.h"
#include "growth/computed_source.h"
#include "growth/fewer_experts.h"
#include "growth/slices.h"
#include "growth/weighted_mean.h"
#include "tensor/convert.h"

namespace moe::growth {

void MergeConfig::fields(config::Fields& f) {
  f.choice("method", method, {"frequency", "clustering"},
           "groups around the most used experts, or of experts with like outputs");
  f.integer("num_experts", num_experts, "experts of a layer afterwards", {.min = 1});
  f.optional_integer("num_experts_per_tok", num_experts_per_tok, "null",
                     "experts a token uses afterwards; null: as before, at most num_experts",
                     {.min = 1});
  f.boolean("align", align, "find the order of neurons in which experts are most alike");
  f.section("calibration", "text that use and outputs are measured on",
            [this](config::Fields& inner) { calibration.fields(inner); });
}

namespace {

/// One layer: its groups, and the order of each member's neurons, found on the first read of a group.
class MergedLayer {
 public:
  MergedLayer(std::shared_ptr<const checkpoint::TensorSource> source, std::int64_t layer,
              std::vector<ExpertGroup> groups, bool align)
      : source_(std::move(source)),
        gate_up_(sparse_name(layer, "experts.gate_up")),
        down_(sparse_name(layer, "experts.down")),
        router_(sparse_name(layer, "router")),
        groups_(std::move(groups)),
        align_(align),
        orders_(groups_.size()),
        found_(groups_.size()) {}

  void fill_router(const Slice& slice, const View& out) const {
    const std::int64_t experts = source_->info(router_).shape[0];
    fill(slice, out, [&](const Slice& part, std::int64_t group, std::size_t member) {
      return read(router_, at_index(part, member_of(group, member), experts));
    });
  }

  void fill_gate_up(const Slice& slice, const View& out) {
    const Shape shape = source_->info(gate_up_).shape;
    fill(slice, out, [&](const Slice& part, std::int64_t group, std::size_t member) {
      const std::int64_t expert = member_of(group, member);
      const auto& order = order_of(group, member);
      if (order.empty()) return read(gate_up_, at_index(part, expert, shape[0]));
      return gathered_rows(part, expert, shape, order);
    });
  }

  void fill_down(const Slice& slice, const View& out) {
    const Shape shape = source_->info(down_).shape;
    fill(slice, out, [&](const Slice& part, std::int64_t group, std::size_t member) {
      const std::int64_t expert = member_of(group, member);
      const auto& order = order_of(group, member);
      if (order.empty()) return read(down_, at_index(part, expert, shape[0]));
      return gathered_columns(part, expert, shape, order);
    });
  }

 private:
  using Values = std::vector<double>;
  using Order = std::vector<std::int32_t>;

  /// The weighted mean of what `values_of(part, group, member)` gives for the members.
  template <class ValuesOf>
  void fill(const Slice& slice, const View& out, const ValuesOf& values_of) const {
    for (const SlicePart& part : parts_of(slice, 1)) {
      const ExpertGroup& group = groups_[static_cast<std::size_t>(part.index[0])];
      for_each_chunk(part.inner, kChunkElements, [&](const Slice& chunk, std::int64_t offset) {
        WeightedMean mean;
        for (std::size_t i = 0; i < group.members.size(); ++i) {
          mean.add(group.weights[i], values_of(chunk, part.index[0], i));
        }
        const Values values = mean.take();
        convert_elements(checkpoint::flat_view(values.data(), DType::F64, chunk.numel()),
                         checkpoint::flat_part(out, part.offset + offset, chunk.numel()));
      });
    }
  }

  std::int64_t member_of(std::int64_t group, std::size_t member) const {
    return groups_[static_cast<std::size_t>(group)].members[member];
  }

  Values read(const std::string& name, const Slice& slice) const {
    Values values(static_cast<std::size_t>(slice.numel()));
    source_->read(name, slice, checkpoint::flat_view(values.data(), DType::F64, slice.numel()));
    return values;
  }

  /// Empty: as it is.
  const Order& order_of(std::int64_t group, std::size_t member) {
    const auto at = static_cast<std::size_t>(group);
    std::call_once(found_[at], [&] {
      const std::vector<std::int64_t>& members = groups_[at].members;
      std::vector<Order> orders(members.size());
      for (std::size_t i = 1; align_ && i < members.size(); ++i) {
        orders[i] = align_neurons({*source_, gate_up_, down_}, members[0], members[i]);
      }
      orders_[at] = std::move(orders);
    });
    return orders_[at][member];
  }

  /// `part` over [halves, F, D], its rows taken from where `order` says.
  Values gathered_rows(const Slice& part, std::int64_t expert, const Shape& shape,
                       const Order& order) const {
    const std::int64_t hidden = shape[2];
    const std::int64_t width = shape[3];
    Values values(static_cast<std::size_t>(part.numel()));
    Slice from = whole(shape);
    for_each_run(part, [&](std::int64_t global, std::int64_t box, std::int64_t count) {
      for (std::int64_t at = global; at < global + count;) {
        const std::int64_t row = at / width;  // over both halves
        const std::int64_t length = std::min(global + count, (row + 1) * width) - at;
        const std::int64_t neuron = order[static_cast<std::size_t>(row % hidden)];
        const std::int64_t half = row / hidden;
        from.flat_begin = ((expert * shape[1] + half) * hidden + neuron) * width + at % width;
        from.flat_end = from.flat_begin + length;
        source_->read(gate_up_, from,
                      checkpoint::flat_view(values.data() + (box - part.flat_begin + at - global),
                                            DType::F64, length));
        at += length;
      }
    });
    return values;
  }

  /// `part` over [D, F], its columns taken from where `order` says.
  Values gathered_columns(const Slice& part, std::int64_t expert, const Shape& shape,
                          const Order& order) const {
    const std::int64_t hidden = shape[2];
    const std::int64_t first = global_index(part, part.flat_begin) / hidden;
    const std::int64_t last = global_index(part, part.flat_end - 1) / hidden;
    Slice from = whole(shape);
    from.flat_begin = (expert * shape[1] + first) * hidden;
    from.flat_end = (expert * shape[1] + last + 1) * hidden;
    const Values rows = read(down_, from);
    Values values(static_cast<std::size_t>(part.numel()));
    for_each_run(part, [&](std::int64_t global, std::int64_t box, std::int64_t count) {
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t row = (global + i) / hidden - first;
        const std::int64_t column = order[static_cast<std::size_t>((global + i) % hidden)];
        values[static_cast<std::size_t>(box - part.flat_begin + i)] =
            rows[static_cast<std::size_t>(row * hidden + column)];
      }
    });
    return values;
  }

  std::shared_ptr<const checkpoint::TensorSource> source_;
  std::string gate_up_;
  std::string down_;
  std::string router_;
  std::vector<ExpertGroup> groups_;
  bool align_;
  std::vector<std::vector<Order>> orders_;
  std::vector<std::once_flag> found_;
};

class Merge : public FewerExperts {
 public:
  explicit Merge(MergeConfig options)
      : FewerExperts("merge", options.num_experts, options.num_experts_per_tok),
        options_(std::move(options)) {}

  std::string method() const override { return options_.method; }

 protected:
  void add_layers(ComputedSource& result, const ModelSource& source, const ModelConfig& config,
                  const StageContext& context) const override {
    const auto measures =
        calibrate(source, calibration_tokens(options_.calibration, source.config, context),
                  {.mean_output = true});
    for (const auto& [layer, measure] : measures) {
      add_layer(result, source, config, layer, groups_of(measure));
    }
  }

 private:
  std::vector<ExpertGroup> groups_of(const LayerMeasure& measure) const {
    return options_.method == "frequency" ? group_by_frequency(measure, options_.num_experts)
                                          : group_by_outputs(measure, options_.num_experts);
  }

  void add_layer(ComputedSource& result, const ModelSource& source, const ModelConfig& config,
                 std::int64_t layer, std::vector<ExpertGroup> groups) const {
    const auto merged =
        std::make_shared<MergedLayer>(source.weights, layer, std::move(groups), options_.align);
    const auto add = [&](const char* part, ParameterKind kind, ComputedSource::Fill fill) {
      const std::string name = sparse_name(layer, part);
      const checkpoint::TensorInfo& info = source.weights->info(name);
      Shape shape = info.shape;
      shape.set(0, config.num_experts);
      result.add(name, shape, info.dtype, kind, std::move(fill));
    };
    add("router", ParameterKind::Router,
        [merged](const Slice& slice, const View& out) { merged->fill_router(slice, out); });
    add("experts.gate_up", ParameterKind::Expert,
        [merged](const Slice& slice, const View& out) { merged->fill_gate_up(slice, out); });
    add("experts.down", ParameterKind::Expert,
        [merged](const Slice& slice, const View& out) { merged->fill_down(slice, out); });
  }

  MergeConfig options_;
};

class MergeOptions : public StageOptions {
 public:
  void fields(config::Fields& f) override { config_.fields(f); }
  std::unique_ptr<Stage> make() const override { return make_merge(config_); }

 private:
  MergeConfig config_;
};

}  // namespace

std::unique_ptr<Stage> make_merge(const MergeConfig& config) {
  return std::make_unique<Merge>(config);
}

std::unique_ptr<StageOptions> merge_options() { return std::make_unique<MergeOptions>(); }

}  // namespace moe::growth
