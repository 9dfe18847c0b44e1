#include "base/clock.h"
#include "base/format.h"
#include "metrics/event_file.h"
#include "metrics/metric_sink.h"
#include "metrics/sink_registry.h"

namespace moe::metrics {
namespace {

/// Tags are grouped by what is before the slash: one measure of all layers stands side by side.
void add_expert_load(std::vector<Scalar>& scalars, const ExpertLoad& load) {
  const auto add = [&](const char* measure, double value) {
    scalars.push_back({format("{}/layer_{:02}", measure, load.layer), value});
  };
  add("experts_load_max_over_mean", load.max_over_mean);
  add("experts_dropped_share", load.dropped_share);
  add("experts_router_entropy", load.entropy);
  add("experts_dead", static_cast<double>(load.dead_experts));
}

std::vector<Scalar> scalars_of(const StepRecord& record) {
  std::vector<Scalar> scalars{
      {"train/loss", record.loss},
      {"train/balance_loss", record.balance_loss},
      {"train/z_loss", record.z_loss},
      {"train/grad_norm", record.grad_norm},
      {"train/lr", record.lr},
      {"train/tokens", static_cast<double>(record.tokens)},
      {"throughput/tokens_per_second", record.tokens_per_second},
      {"throughput/mfu", record.mfu},
      {"throughput/step_seconds", record.step_seconds},
      {"throughput/data_wait_seconds", record.data_wait_seconds},
      {"throughput/reduce_wait_seconds", record.reduce_wait_seconds},
      {"memory/peak_gib", static_cast<double>(record.memory_bytes) / 0x1.0p30},
  };
  for (const ExpertLoad& load : record.experts) add_expert_load(scalars, load);
  return scalars;
}

class TensorboardSink : public MetricSink {
 public:
  explicit TensorboardSink(const SinkContext& context)
      : config_(context.config),
        file_(context.folder / "tensorboard",
              context.resume_step > 0 ? context.resume_step + 1 : 0) {}

  void write(const StepRecord& record) override {
    std::vector<Scalar> scalars;
    if (config_.due(record.step)) scalars = scalars_of(record);
    if (record.eval_loss) scalars.push_back({"eval/loss", *record.eval_loss});
    if (record.eval_bits_per_byte) {
      scalars.push_back({"eval/bits_per_byte", *record.eval_bits_per_byte});
    }
    if (!scalars.empty()) file_.add(record.step, scalars);
    if (since_flush_.seconds() >= config_.flush_seconds) {
      file_.flush();
      since_flush_.restart();
    }
  }
  void close() override { file_.close(); }

 private:
  LoggingConfig config_;
  EventFile file_;
  Stopwatch since_flush_;
};

}  // namespace

std::unique_ptr<MetricSink> make_tensorboard_sink(const SinkContext& context) {
  return std::make_unique<TensorboardSink>(context);
}

}  // namespace moe::metrics
