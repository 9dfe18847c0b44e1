#include "metrics/append_file.h"
#include "metrics/metric_sink.h"
#include "metrics/metrics_file.h"
#include "metrics/sink_registry.h"

namespace moe::metrics {
namespace {

class JsonlSink : public MetricSink {
 public:
  explicit JsonlSink(const Path& path) : file_(path, AppendFile::Mode::Extend) {}

  void write(const StepRecord& record) override {
    file_.append(metrics_line(record));
    file_.flush();
  }
  void close() override { file_.close(); }

 private:
  AppendFile file_;
};

}  // namespace

std::unique_ptr<MetricSink> make_jsonl_sink(const SinkContext& context) {
  const Path path = context.folder / kMetricsFileName;
  keep_metrics_until(path, context.resume_step);
  return std::make_unique<JsonlSink>(path);
}

}  // namespace moe::metrics
