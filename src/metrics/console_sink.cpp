#include <iostream>
#include <string>

#include "base/error.h"
#include "metrics/console_line.h"
#include "metrics/metric_sink.h"
#include "metrics/sink_registry.h"
#include "metrics/terminal.h"

namespace moe::metrics {
namespace {

constexpr const char* kEraseLine = "\r\x1b[K";

/// Lines scroll by; on a terminal the progress bar stays below them.
class ConsoleSink : public MetricSink {
 public:
  ConsoleSink(const SinkContext& context, Terminal terminal)
      : config_(context.config),
        total_steps_(context.total_steps),
        out_(context.console != nullptr ? *context.console : std::cout),
        terminal_(terminal) {}

  void write(const StepRecord& record) override {
    erase_bar();
    const bool last = record.step == total_steps_;
    if (config_.due(record.step) || record.eval_loss || last) {
      out_ << step_line(record, total_steps_) << '\n';
    }
    if (record.eval_loss) out_ << eval_line(record) << '\n';
    if (terminal_.present && !last) draw_bar(record);
    check();
  }

  void message(std::string_view text) override {
    erase_bar();
    out_ << text << '\n';
    if (!bar_.empty()) show_bar();
    check();
  }

  void close() override {
    erase_bar();
    bar_.clear();
    check();
  }

 private:
  void draw_bar(const StepRecord& record) {
    // The last column stays free: writing into it makes some terminals wrap.
    bar_ = progress_line(record, total_steps_, terminal_.columns - 1);
    show_bar();
  }
  void show_bar() {
    out_ << bar_;
    visible_ = true;
  }
  void erase_bar() {
    if (visible_) out_ << kEraseLine;
    visible_ = false;
  }
  void check() {
    out_.flush();
    if (!out_) throw DataError("standard output: cannot write");
  }

  LoggingConfig config_;
  std::int64_t total_steps_;
  std::ostream& out_;
  Terminal terminal_;
  std::string bar_;
  bool visible_ = false;
};

Terminal choose_terminal(const SinkContext& context) {
  if (context.config.progress == "never") return {};
  // A stream that is not standard output has no screen unless one is asked for.
  Terminal terminal;
  if (context.console == nullptr) terminal = standard_output_terminal();
  if (context.config.progress == "always") terminal.present = true;
  return terminal;
}

}  // namespace

std::unique_ptr<MetricSink> make_console_sink(const SinkContext& context) {
  return std::make_unique<ConsoleSink>(context, choose_terminal(context));
}

}  // namespace moe::metrics
