#include "metrics/loss_chart.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <ranges>

#include "base/format.h"
#include "base/log.h"
#include "metrics/chart.h"
#include "metrics/metrics_file.h"

namespace moe::metrics {
namespace {

/// A centred mean: narrower towards the steep start so that it stays true, one-sided at the flat end so
/// that the last point is no single noisy step.
std::vector<double> smoothed(const std::vector<double>& values, std::size_t half_window) {
  std::vector<double> result;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t half = std::min(half_window, i);
    const std::size_t end = std::min(values.size(), i + half + 1);
    double sum = 0;
    std::int64_t count = 0;
    for (std::size_t j = i - half; j < end; ++j) {
      if (!std::isfinite(values[j])) continue;
      sum += values[j];
      ++count;
    }
    result.push_back(sum / static_cast<double>(count));
  }
  return result;
}

std::string summary(const std::vector<StepRecord>& records) {
  if (records.empty()) return "";
  const StepRecord& last = records.back();
  std::string text = format("{} steps", with_thousands(last.step));
  if (last.tokens > 0) {
    text += format(", {} tokens", human_count(static_cast<double>(last.tokens)));
  }
  for (const StepRecord& record : std::views::reverse(records)) {
    if (!record.eval_loss) continue;
    text += format("; held-out loss {:.3f}", *record.eval_loss);
    if (record.eval_bits_per_byte) text += format(", {:.3f} bits per byte", *record.eval_bits_per_byte);
    break;
  }
  return text;
}

}  // namespace

std::string loss_chart(const std::vector<StepRecord>& records, const std::string& title) {
  const bool by_tokens = !records.empty() && records.back().tokens > 0;
  ChartSeries raw{.name = "", .color = "#2563eb", .width = 1, .opacity = 0.25};
  ChartSeries held_out{.name = "held-out loss", .color = "#ea580c", .width = 1.5, .markers = true};
  for (const StepRecord& record : records) {
    const auto at = static_cast<double>(by_tokens ? record.tokens : record.step);
    raw.x.push_back(at);
    raw.y.push_back(record.loss);
    if (!record.eval_loss) continue;
    held_out.x.push_back(at);
    held_out.y.push_back(*record.eval_loss);
  }
  ChartSeries smooth{.name = "training loss", .x = raw.x, .color = "#2563eb"};
  smooth.y = smoothed(raw.y, records.size() / 60);
  std::vector<ChartSeries> series{raw, smooth};
  if (!held_out.x.empty()) series.push_back(held_out);
  return line_chart(series, {.title = title,
                             .subtitle = summary(records),
                             .x_label = by_tokens ? "tokens seen" : "step",
                             .y_label = "cross-entropy, nats per token"});
}

bool write_loss_chart(const Path& metrics_file, const Path& svg, const std::string& title) {
  try {
    write_file_atomically(svg, loss_chart(read_metrics(metrics_file), title));
    return true;
  } catch (const std::exception& error) {
    log_warning(format("metrics: no picture of the loss: {}", error.what()));
    return false;
  }
}

}  // namespace moe::metrics
